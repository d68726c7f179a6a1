"""Refunds in two phases: the tokens leave the wallet, then the money goes back; if it cannot, the tokens come back."""

from typing import Any
from uuid import UUID

import anyio
from msgspec import to_builtins
from sqlalchemy import text
from sqlalchemy.exc import DBAPIError, IntegrityError

from aibridge_billing.orders.refunds import (
    Refundable,
    begin_refund,
    claim_pending,
    end_refund,
    find_refund,
    refundable,
    show_refund,
)
from aibridge_billing.orders.store import Order, find_order
from aibridge_billing.payments.desk import PaymentDesk
from aibridge_billing.recall import recall_leases
from aibridge_common.bus.nats import Bus
from aibridge_common.contracts.orders import AskRefund, RefundQuote, RefundShown
from aibridge_common.db.audit import record
from aibridge_common.db.engine import Database, Transaction, transaction
from aibridge_common.db.idempotency import IdempotentCall, once
from aibridge_common.errors import Conflict, InvalidRequest, Unavailable
from aibridge_common.ids import uuid7
from aibridge_common.structs import Reply
from aibridge_common.telemetry.log import get_logger

RECALL_WAIT_S = 3.0
_LOOK_EVERY_S = 0.1
RETRY_EVERY_S = 60.0
_ALL = 2**63 - 1


class Begun(Reply, frozen=True, kw_only=True):
    """What is remembered of a refund's creation."""

    refund_id: UUID


class Refunds:
    """What customers and support do to unused tokens of an order."""

    def __init__(self, database: Database, bus: Bus, desk: PaymentDesk) -> None:
        self._database = database
        self._bus = bus
        self._desk = desk

    async def quote(self, number: str, account_id: UUID | None) -> RefundQuote:
        """What a refund would give back now, after idle leases came home. Raises `NotFound`, `Conflict`."""
        order = await self._order(number, account_id)
        await self._recall(order.account_id)
        async with transaction(self._database) as tx:
            now = await _refundable(tx, order)
        return RefundQuote(
            order=order.number,
            microtokens=str(now.microtokens),
            money_minor=str(now.money_minor),
            currency=order.currency,
            unused_microtokens=str(now.unused_microtokens),
            held_microtokens=str(now.unused_microtokens - now.microtokens),
        )

    async def ask(
        self,
        number: str,
        account_id: UUID | None,
        asked: AskRefund,
        caller: str,
        call: IdempotentCall | None,
    ) -> RefundShown:
        """Both phases, as far as the provider answers; what is left is tried again until it does."""
        order = await self._order(number, account_id)
        await self._recall(order.account_id)
        try:
            async with transaction(self._database) as tx:

                async def create() -> Begun:
                    return Begun(refund_id=await _begin(tx, order, asked, caller))

                begun = await once(tx, call, Begun, create)
        except IntegrityError as error:
            if "refund_one_pending" in str(error.orig):
                raise Conflict("another refund of this order is on its way") from None
            raise
        try:
            await self.push(begun.refund_id)
        except Unavailable:  # it is written down, and will be tried again
            get_logger().warning("refund.provider_away", refund=str(begun.refund_id))
        async with transaction(self._database) as tx:
            return await show_refund(tx, begun.refund_id)

    async def push(self, refund_id: UUID) -> None:
        """Have the provider send a pending refund's money. Safe to repeat. Raises `Unavailable`."""
        async with transaction(self._database) as tx:
            refund = await find_refund(tx, refund_id)
            if refund.state != "pending":
                return
            order = await find_order(tx, refund.number)
        answer = "succeeded"
        if refund.money_minor > 0:
            try:
                provider = self._desk.provider(order.provider)
            except InvalidRequest as error:
                raise Unavailable(error.message) from None
            answer = await provider.refund(order, refund_id, refund.money_minor)
        if answer == "pending":
            return
        async with transaction(self._database) as tx:
            await end_refund(tx, refund_id, succeeded=answer == "succeeded")

    async def show(self, refund_id: UUID) -> RefundShown:
        """Raises `NotFound`."""
        async with transaction(self._database) as tx:
            return await show_refund(tx, refund_id)

    async def run(self) -> None:
        """Try pending refunds again, for ever; several replicas may."""
        while True:
            try:
                await self.push_pending(RETRY_EVERY_S)
            except (DBAPIError, OSError, TimeoutError) as error:
                get_logger().warning("refund.retry_failed", error=type(error).__name__)
            await anyio.sleep(RETRY_EVERY_S / 4)

    async def push_pending(self, every_s: float) -> int:
        """How many were tried."""
        async with transaction(self._database) as tx:
            pending = await claim_pending(tx, every_s)
        for refund_id in pending:
            try:
                await self.push(refund_id)
            except Unavailable as error:
                get_logger().warning(
                    "refund.provider_away", refund=str(refund_id), error=error.message
                )
        return len(pending)

    async def _order(self, number: str, account_id: UUID | None) -> Order:
        async with transaction(self._database) as tx:
            return await find_order(tx, number, account_id)

    async def _recall(self, account_id: UUID) -> None:
        """What lies idle in leases may be refunded; what running requests hold may not."""
        leased = await self._leased(account_id)
        if leased:
            await recall_leases(self._bus, account_id)
        with anyio.move_on_after(RECALL_WAIT_S):
            while leased:
                await anyio.sleep(_LOOK_EVERY_S)
                leased = await self._leased(account_id)

    async def _leased(self, account_id: UUID) -> bool:
        async with transaction(self._database) as tx:
            row = await tx.execute(
                text(
                    "SELECT EXISTS (SELECT 1 FROM reservation"
                    " WHERE account_id = :account AND state = 0 AND kind = 2 AND remaining_utok > 0)"
                ),
                {"account": account_id},
            )
            return row.scalar_one()


async def _begin(tx: Transaction, order: Order, asked: AskRefund, caller: str) -> UUID:
    await _refundable(tx, order)
    refund_id = uuid7()
    want = _ALL if asked.microtokens is None else min(int(asked.microtokens), _ALL)
    if want == 0:
        raise InvalidRequest("a refund is of at least one microtoken", param="microtokens")
    money = await begin_refund(
        tx,
        refund_id=refund_id,
        order_id=order.id,
        microtokens=want,
        reason=asked.reason,
        requested_by=asked.requested_by,
    )
    if money is None:
        raise Conflict("nothing of this order can be refunded now: it is used, or held by requests")
    if asked.expect_money_minor not in (None, money):
        raise Conflict(
            f"the refund would be {money}, not {asked.expect_money_minor}: ask for a new quote",
            param="expect_money_minor",
        )
    document: dict[str, Any] = to_builtins(asked) | {"money_minor": money}
    await record(tx, caller, "refund.begin", order.number, document)
    return refund_id


async def _refundable(tx: Transaction, order: Order) -> Refundable:
    if order.provider == "adjustment":
        raise Conflict("these tokens were given, not bought", param="number")
    now = await refundable(tx, order.id)
    if now is None:
        raise Conflict("this order was not paid, or its payment was taken back", param="number")
    return now
