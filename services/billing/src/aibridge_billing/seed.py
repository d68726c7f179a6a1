"""Bring prices and products of a catalogue file into billing; running it again changes nothing."""

from uuid import UUID

from aibridge_billing.ledger.accounts import account_state, open_account
from aibridge_billing.orders.numbers import new_number
from aibridge_billing.orders.store import confirm_payment, create_order, order_paid_by
from aibridge_billing.payments.manual import MANUAL
from aibridge_billing.pricing.store import put_multipliers
from aibridge_billing.products.store import put_product
from aibridge_common.catalog import Catalog
from aibridge_common.db.engine import Database, transaction


async def seed_catalog(database: Database, catalog: Catalog) -> None:
    """Multipliers become a new version only where they differ."""
    async with transaction(database) as tx:
        for model in catalog.models:
            await put_multipliers(tx, model.id, model.priced.microtokens())
        for product in catalog.products:
            await put_product(tx, product)


async def seed_demo_account(database: Database, catalog: Catalog, account_id: UUID) -> int:
    """Give the account one paid order of the largest product, once; returns its spendable microtokens."""
    if not catalog.products:
        raise ValueError("the catalogue sells no product, so the demo account cannot be given one")
    product = max(catalog.products, key=lambda item: item.grant_microtokens)
    reference = f"DEMO-{account_id.hex[-12:].upper()}"
    async with transaction(database) as tx:
        await open_account(tx, account_id)
        if await order_paid_by(tx, MANUAL, reference) is None:
            order = await create_order(
                tx,
                public_no=new_number(),
                account_id=account_id,
                product_id=product.id,
                provider=MANUAL,
            )
            if order is None:
                raise RuntimeError("the order number drawn was taken; seed again")
            await confirm_payment(
                tx,
                order,
                provider=MANUAL,
                reference=reference,
                amount_minor=product.price_minor,
                currency=product.currency,
            )
        return (await account_state(tx, account_id)).spendable_microtokens
