"""Which payment providers the settings turn on."""

from aibridge_billing.payments.manual import ManualTransfers
from aibridge_billing.payments.protocol import PaymentProvider
from aibridge_billing.payments.sandbox import Sandbox
from aibridge_billing.payments.stripe import StripePayments
from aibridge_billing.settings import Settings
from aibridge_common.db.engine import Database
from aibridge_common.settings import InvalidSettings


def open_providers(settings: Settings, database: Database) -> list[PaymentProvider]:
    """Those with a key, and transfers unless they are off. Raises `InvalidSettings`."""
    providers: list[PaymentProvider] = []
    if settings.manual_transfers:
        providers.append(ManualTransfers())
    if settings.sandbox_key is not None:
        if len(settings.sandbox_key.reveal()) < 32 or not settings.public_url:
            raise InvalidSettings(
                "AIBRIDGE_BILLING_SANDBOX_KEY needs 32 characters, and AIBRIDGE_BILLING_PUBLIC_URL beside it"
            )
        providers.append(Sandbox(database, settings.public_url, settings.sandbox_key))
    if settings.stripe_key is not None:
        if not settings.return_url:
            raise InvalidSettings(
                "AIBRIDGE_BILLING_RETURN_URL is not set: Stripe sends the customer there"
            )
        providers.append(
            StripePayments(settings.stripe_key, settings.return_url, settings.stripe_api_url)
        )
    return providers
