from tests.fixtures.billing import billing_url, books, ledger_stays_sound
from tests.fixtures.services import auth_url, clean_stream, router_url

__all__ = ["auth_url", "billing_url", "books", "clean_stream", "ledger_stays_sound", "router_url"]
