"""What auth reads from its environment (`AIBRIDGE_AUTH_…`)."""

from msgspec import Struct

from aibridge_common.settings import Secret

PREFIX = "AIBRIDGE_AUTH_"


class Settings(Struct, frozen=True, kw_only=True):
    """Everything auth can be told. The pepper is at least 32 bytes in hexadecimal."""

    database_url: Secret
    nats_url: Secret
    service_tokens: Secret
    key_pepper: Secret
    listen: str = "127.0.0.1:3002"
    log_level: str = "info"


class SeedSettings(Struct, frozen=True, kw_only=True):
    """Secrets of the seed command; from the environment, since arguments can be read by other users."""

    admin_password: Secret | None = None
    demo_key: Secret | None = None
