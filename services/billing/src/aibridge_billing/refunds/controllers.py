"""Refunds over HTTP: by the customer from the order, by support from the order's number."""

from uuid import UUID

from litestar import Controller, get, post
from litestar.di import NamedDependency
from litestar.params import FromPath, JSONBody
from msgspec import to_builtins

from aibridge_billing.orders.numbers import read_number
from aibridge_billing.orders.refunds import end_refund, find_refund, show_refund
from aibridge_billing.orders.store import find_order
from aibridge_billing.payments.manual import MANUAL
from aibridge_billing.refunds.service import Refunds
from aibridge_common.contracts.orders import AskRefund, EndRefund, RefundQuote, RefundShown
from aibridge_common.db.audit import record
from aibridge_common.db.engine import Database, transaction
from aibridge_common.db.idempotency import IdempotentCall
from aibridge_common.errors import Conflict, InvalidRequest


class RefundController(Controller):
    """Quote, ask, look, end."""

    path, tags = "/v1", ["refunds"]

    @get(
        "/accounts/{account_id:uuid}/orders/{number:str}/refund-quote",
        operation_id="QuoteAccountRefund",
    )
    async def quote_of_account(
        self, account_id: FromPath[UUID], number: FromPath[str], refunds: NamedDependency[Refunds]
    ) -> RefundQuote:
        """What a refund of this account's order would give back now."""
        return await refunds.quote(read_number(number), account_id)

    @post("/accounts/{account_id:uuid}/orders/{number:str}/refunds", operation_id="AskRefund")
    async def ask_of_account(
        self,
        account_id: FromPath[UUID],
        number: FromPath[str],
        data: JSONBody[AskRefund],
        refunds: NamedDependency[Refunds],
        caller: NamedDependency[str],
        call: NamedDependency[IdempotentCall | None],
    ) -> RefundShown:
        """Refund unused tokens of this account's order, to the payment they came from."""
        return await refunds.ask(read_number(number), account_id, data, caller, call)

    @get("/orders/{number:str}/refund-quote", operation_id="QuoteRefund")
    async def quote(self, number: FromPath[str], refunds: NamedDependency[Refunds]) -> RefundQuote:
        """What a refund of any order would give back now, for support."""
        return await refunds.quote(read_number(number), None)

    @post("/orders/{number:str}/refunds", operation_id="RefundOrder")
    async def ask(
        self,
        number: FromPath[str],
        data: JSONBody[AskRefund],
        refunds: NamedDependency[Refunds],
        caller: NamedDependency[str],
        call: NamedDependency[IdempotentCall | None],
    ) -> RefundShown:
        """Refund unused tokens of any order, for support."""
        return await refunds.ask(read_number(number), None, data, caller, call)

    @get("/refunds/{refund_id:uuid}", operation_id="GetRefund")
    async def show(
        self, refund_id: FromPath[UUID], refunds: NamedDependency[Refunds]
    ) -> RefundShown:
        """How far a refund is."""
        return await refunds.show(refund_id)

    @post("/refunds/{refund_id:uuid}/end", operation_id="EndRefund", status_code=200)
    async def end(
        self,
        refund_id: FromPath[UUID],
        data: JSONBody[EndRefund],
        database: NamedDependency[Database],
        caller: NamedDependency[str],
    ) -> RefundShown:
        """Say that the transfer of a pending refund was made, or cannot be. Safe to repeat."""
        async with transaction(database) as tx:
            refund = await find_refund(tx, refund_id)
            order = await find_order(tx, refund.number, lock=True)
            if order.provider != MANUAL:
                raise InvalidRequest(
                    f"{order.provider} says itself what became of it", param="refund_id"
                )
            wanted = "succeeded" if data.succeeded else "failed"
            if await end_refund(
                tx, refund_id, succeeded=data.succeeded, reference=data.bank_reference
            ):
                await record(tx, caller, f"refund.{wanted}", refund.number, to_builtins(data))
            shown = await show_refund(tx, refund_id)
        if shown.state != wanted:
            raise Conflict(f"this refund has {shown.state} already", param="refund_id")
        return shown
