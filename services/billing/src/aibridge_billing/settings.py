"""What billing reads from its environment (`AIBRIDGE_BILLING_…`)."""

from msgspec import Struct

from aibridge_common.settings import Secret

PREFIX = "AIBRIDGE_BILLING_"


class Settings(Struct, frozen=True, kw_only=True):
    """Everything billing can be told."""

    database_url: Secret
    nats_url: Secret
    nats_monitor_url: str = ""
    service_tokens: Secret
    listen: str = "127.0.0.1:3004"
    stream_replicas: int = 1
    log_level: str = "info"
