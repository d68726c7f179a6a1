from tests.fixtures.billing import billing_url, books, ledger_stays_sound

__all__ = ["billing_url", "books", "ledger_stays_sound"]
