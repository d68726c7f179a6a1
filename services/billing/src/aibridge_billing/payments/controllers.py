"""Orders and their payment, over HTTP."""

from typing import Annotated, Any
from uuid import UUID

from litestar import Controller, Request, get, post
from litestar.di import NamedDependency
from litestar.params import FromPath, FromQuery, JSONBody, QueryParameter
from msgspec import to_builtins

from aibridge_billing.orders.numbers import read_number
from aibridge_billing.orders.store import find_order, list_orders, show_order
from aibridge_billing.payments.alerts import alerts
from aibridge_billing.payments.desk import PaymentDesk
from aibridge_billing.payments.intake import take
from aibridge_billing.payments.manual import MANUAL
from aibridge_billing.payments.notices import StripeNotices
from aibridge_billing.payments.protocol import Payment
from aibridge_common.contracts.orders import (
    ConfirmTransfer,
    CreateOrder,
    OrderPage,
    OrderShown,
    PaymentAlert,
)
from aibridge_common.db.audit import record
from aibridge_common.db.engine import Database, transaction
from aibridge_common.db.idempotency import IdempotentCall
from aibridge_common.errors import Conflict, InvalidRequest, NotFound

NOTICE_BYTES_MAX = 256 * 1024


class OrderController(Controller):
    """Orders: those of one account under its path, any by its number for support."""

    path, tags = "/v1", ["orders"]

    @post("/accounts/{account_id:uuid}/orders", operation_id="CreateOrder")
    async def create(
        self,
        account_id: FromPath[UUID],
        data: JSONBody[CreateOrder],
        desk: NamedDependency[PaymentDesk],
        call: NamedDependency[IdempotentCall | None],
    ) -> OrderShown:
        """Buy a plan at its price of now. The answer says where it is paid.

        503 when the payment provider cannot be asked: sent again with the same `Idempotency-Key` it goes on with the
        same order.
        """
        return await desk.order(account_id, data, call)

    @get("/accounts/{account_id:uuid}/orders", operation_id="ListOrders")
    async def list_orders(
        self,
        account_id: FromPath[UUID],
        database: NamedDependency[Database],
        limit: Annotated[int, QueryParameter(ge=1, le=200)] = 50,
        cursor: FromQuery[str | None] = None,
    ) -> OrderPage:
        """The account's orders, newest first."""
        before = read_number(cursor) if cursor is not None else None
        async with transaction(database) as tx:
            rows = await list_orders(tx, account_id, limit, before)
        return OrderPage(rows=rows, next=rows[-1].number if len(rows) == limit else None)

    @get("/accounts/{account_id:uuid}/orders/{number:str}", operation_id="GetAccountOrder")
    async def of_account(
        self,
        account_id: FromPath[UUID],
        number: FromPath[str],
        database: NamedDependency[Database],
    ) -> OrderShown:
        """An order of this account; one of another account is a 404."""
        async with transaction(database) as tx:
            return await show_order(tx, read_number(number), account_id)

    @post(
        "/accounts/{account_id:uuid}/orders/{number:str}/checkout",
        operation_id="BeginCheckout",
        status_code=200,
    )
    async def checkout(
        self, account_id: FromPath[UUID], number: FromPath[str], desk: NamedDependency[PaymentDesk]
    ) -> OrderShown:
        """Where an unpaid order is paid; opened where that failed before. Safe to repeat."""
        return await desk.checkout(read_number(number), account_id)

    @post(
        "/accounts/{account_id:uuid}/orders/{number:str}/cancel",
        operation_id="CancelOrder",
        status_code=200,
    )
    async def cancel(
        self, account_id: FromPath[UUID], number: FromPath[str], desk: NamedDependency[PaymentDesk]
    ) -> OrderShown:
        """Give up an unpaid order. A payment that comes all the same is credited."""
        return await desk.cancel(read_number(number), account_id)

    @get("/orders/{number:str}", operation_id="GetOrder")
    async def order(self, number: FromPath[str], database: NamedDependency[Database]) -> OrderShown:
        """Any order, for support: by its number, however the customer wrote it down."""
        async with transaction(database) as tx:
            return await show_order(tx, read_number(number))

    @post("/orders/{number:str}/confirm-transfer", operation_id="ConfirmTransfer", status_code=200)
    async def confirm_transfer(
        self,
        number: FromPath[str],
        data: JSONBody[ConfirmTransfer],
        database: NamedDependency[Database],
        caller: NamedDependency[str],
    ) -> OrderShown:
        """Credit an order whose money arrived by bank transfer. Safe to repeat; 409 where anything differs."""
        public_no = read_number(number)
        async with transaction(database) as tx:
            order = await find_order(tx, public_no, lock=True)
            if order.provider != MANUAL:
                raise InvalidRequest(f"this order is paid by {order.provider}", param="number")
            outcome = await take(
                tx,
                MANUAL,
                Payment(
                    reference=data.bank_reference,
                    order=public_no,
                    state="paid",
                    amount_minor=data.amount_minor,
                    currency=data.currency,
                ),
            )
            await record(tx, caller, f"order.transfer_{outcome}", public_no, to_builtins(data))
            shown = await show_order(tx, public_no)
        if outcome == "alert":
            raise Conflict(
                "this payment does not fit the order: amount, currency or reference differ, or it was paid before;"
                " see the payment alerts"
            )
        return shown

    @get("/payment-alerts", operation_id="ListPaymentAlerts")
    async def payment_alerts(self, database: NamedDependency[Database]) -> list[PaymentAlert]:
        """Payments that fit no order, and disputes; the newest first."""
        async with transaction(database) as tx:
            return await alerts(tx)


@post(
    "/v1/payment-notices/stripe",
    operation_id="StripeNotice",
    tags=["payments"],
    status_code=200,
    request_max_body_size=NOTICE_BYTES_MAX,
)
async def stripe_notice(
    request: Request[Any, Any, Any], notices: NamedDependency[StripeNotices | None]
) -> dict[str, str]:
    """Stripe's webhooks; the signature is the guard. 404 as long as there is no secret to check it with."""
    if notices is None:
        raise NotFound("no notices are taken here")
    body = await request.body()
    return {"outcome": await notices.receive(body, request.headers.get("stripe-signature"))}
