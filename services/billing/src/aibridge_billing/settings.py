"""What billing reads from its environment (`AIBRIDGE_BILLING_…`)."""

from msgspec import Struct

from aibridge_common.settings import Secret

PREFIX = "AIBRIDGE_BILLING_"


class Settings(Struct, frozen=True, kw_only=True):
    """Everything billing can be told. Payment providers are on where they have a key."""

    database_url: Secret
    nats_url: Secret
    nats_monitor_url: str = ""
    service_tokens: Secret
    listen: str = "127.0.0.1:3004"
    stream_replicas: int = 1
    log_level: str = "info"

    manual_transfers: bool = True
    sandbox_key: Secret | None = None
    """At least 32 characters; whoever can open an order's page then pays it without money."""
    public_url: str = ""
    """Where customers reach the sandbox's pages."""
    stripe_key: Secret | None = None
    stripe_webhook_secret: Secret | None = None
    """Without it notices are a 404, and an order is credited only when its time to be paid ends."""
    stripe_api_url: str = "https://api.stripe.com"
    return_url: str = ""
    """Where Stripe sends a customer who paid or turned back."""
    adjustment_limit_tokens: int = 1_000_000
    """More than this within a day by one person to one account waits for a second person."""
