"""Where orders are begun and payments looked after: the providers that are configured, and what goes on with each."""

from collections.abc import Iterable
from typing import TypeVar
from uuid import UUID

from aibridge_billing.ledger.accounts import open_account
from aibridge_billing.orders.store import (
    Order,
    find_order,
    give_up,
    keep_checkout,
    order_for_sale,
    show_order,
)
from aibridge_billing.payments.intake import Outcome, take
from aibridge_billing.payments.protocol import PaymentProvider
from aibridge_common.contracts.orders import CreateOrder, OrderNumber, OrderShown
from aibridge_common.db.engine import Database, transaction
from aibridge_common.db.idempotency import IdempotentCall, once
from aibridge_common.errors import Conflict, InvalidRequest
from aibridge_common.structs import Reply

P = TypeVar("P")


class Numbered(Reply, frozen=True, kw_only=True):
    """What is remembered of an order's creation."""

    number: OrderNumber


class PaymentDesk:
    """The payment providers of this installation, by name."""

    def __init__(self, database: Database, providers: Iterable[PaymentProvider]) -> None:
        self._database = database
        self._providers = {provider.name: provider for provider in providers}

    @property
    def providers(self) -> list[PaymentProvider]:
        """All of them."""
        return list(self._providers.values())

    def find(self, kind: type[P]) -> P | None:
        """The provider of this kind, where it is configured."""
        return next((one for one in self._providers.values() if isinstance(one, kind)), None)

    def provider(self, name: str, param: str = "provider") -> PaymentProvider:
        """Raises `InvalidRequest` for one that is not configured."""
        found = self._providers.get(name)
        if found is None:
            known = ", ".join(sorted(self._providers)) or "none"
            raise InvalidRequest(
                f"payments by this provider are not taken here; configured: {known}", param=param
            )
        return found

    async def order(
        self, account_id: UUID, wanted: CreateOrder, call: IdempotentCall | None
    ) -> OrderShown:
        """A new order with its checkout. A repeated `call` goes on with the same order where the first ended."""
        self.provider(wanted.provider)
        async with transaction(self._database) as tx:
            await open_account(tx, account_id)

            async def create() -> Numbered:
                return Numbered(
                    number=await order_for_sale(
                        tx,
                        account_id=account_id,
                        product_id=wanted.product_id,
                        provider=wanted.provider,
                    )
                )

            made = await once(tx, call, Numbered, create)
        return await self.checkout(made.number, account_id)

    async def checkout(self, number: str, account_id: UUID) -> OrderShown:
        """The order with a place to pay it, which is opened where there is none. Raises `Unavailable`."""
        async with transaction(self._database) as tx:
            order = await find_order(tx, number, account_id)
        if order.status == "created" and order.checkout_ref is None:
            checkout = await self.provider(order.provider).begin(order)
            async with transaction(self._database) as tx:
                await keep_checkout(tx, order.id, checkout.reference, checkout.pay_url)
        async with transaction(self._database) as tx:
            return await show_order(tx, number, account_id)

    async def look(self, order: Order) -> Outcome | None:
        """Ask the provider what became of an order's checkout, and act on it; None where nobody can be asked."""
        if order.checkout_ref is None:
            return None
        payment = await self.provider(order.provider).fetch(order.checkout_ref)
        if payment is None:
            return None
        async with transaction(self._database) as tx:
            return await take(tx, order.provider, payment)

    async def cancel(self, number: str, account_id: UUID) -> OrderShown:
        """Give up an unpaid order. Raises `Conflict` for one that was paid."""
        async with transaction(self._database) as tx:
            order = await find_order(tx, number, account_id)
        await self.look(order)
        async with transaction(self._database) as tx:
            order = await find_order(tx, number, account_id, lock=True)
            if order.status not in ("created", "failed"):
                raise Conflict("this order was paid; ask for a refund", param="number")
            await give_up(tx, order.id)
            return await show_order(tx, number, account_id)
