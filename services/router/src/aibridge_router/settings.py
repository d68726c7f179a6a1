"""What the router reads from its environment (`AIBRIDGE_ROUTER_…`)."""

from msgspec import Struct

from aibridge_common.settings import Secret

PREFIX = "AIBRIDGE_ROUTER_"


class Settings(Struct, frozen=True, kw_only=True):
    """Everything the router can be told.

    `secrets_key` (32 bytes in hexadecimal) seals the upstream keys at rest. `name` must be the same at every start of
    one worker and differ between workers. `spool_dir` is a folder of this worker alone on a disk that outlives it;
    `spool_bytes_max` is what it may take there. `fetch_urls` lets the router fetch images and PDFs that a prompt names
    by URL, from public hosts only, where the vendor does not. `private_providers` lets operators add providers that are
    not at public https addresses: models of their own in their own network.
    """

    database_url: Secret
    nats_url: Secret
    service_tokens: Secret
    service_token: Secret
    billing_url: str
    secrets_key: Secret
    spool_dir: str
    listen: str = "127.0.0.1:3003"
    name: str = "router-0"
    spool_bytes_max: int = 2**30
    fetch_urls: bool = True
    private_providers: bool = False
    drain_s: int = 600
    concurrency_max: int = 2000
    lag_max_ms: int = 50
    log_level: str = "info"
