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

    public_url: str = "http://localhost:3001"
    """Where the links of mails lead; never taken from a request."""
    smtp_url: Secret | None = None
    """`smtps://user:password@host:465`, or `smtp://…:587` with STARTTLS."""
    mail_from: str = ""
    outbox_dir: str = ""
    """Without an SMTP server mails are written here as files; without either they wait half an hour in vain."""


class SeedSettings(Struct, frozen=True, kw_only=True):
    """Secrets of the seed command; from the environment, since arguments can be read by other users."""

    admin_password: Secret | None = None
    demo_key: Secret | None = None
