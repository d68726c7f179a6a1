"""What the gateway reads from its environment (`AIBRIDGE_GATEWAY_…`)."""

from msgspec import Struct

from aibridge_common.settings import Secret

PREFIX = "AIBRIDGE_GATEWAY_"


class Settings(Struct, frozen=True, kw_only=True):
    """Everything the gateway can be told.

    `router_url` may be `unix:/path`, and may name several routers, separated by commas. `trusted_proxies` are the
    addresses and networks whose `X-Forwarded-For` is believed, separated by commas.
    """

    nats_url: Secret
    service_token: Secret
    auth_url: str
    router_url: str
    billing_url: str
    listen: str = "127.0.0.1:3001"
    tls_cert_file: str | None = None
    tls_key_file: str | None = None
    trusted_proxies: str = ""
    drain_s: int = 600
    concurrency_max: int = 1000
    account_concurrency_max: int = 64
    lag_max_ms: int = 50
    log_level: str = "info"
