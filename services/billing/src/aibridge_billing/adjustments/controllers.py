"""Adjustments, and whether an account may spend, over HTTP."""

from uuid import UUID

from litestar import Controller, get, post, put
from litestar.di import NamedDependency
from litestar.params import FromPath, FromQuery, JSONBody
from msgspec import to_builtins
from sqlalchemy.exc import IntegrityError

from aibridge_billing.adjustments.store import (
    add_adjustment,
    do_adjustment,
    given_today,
    list_adjustments,
    show_adjustment,
    sign,
)
from aibridge_billing.ledger.accounts import account_shown, open_account, set_status
from aibridge_billing.recall import recall_leases
from aibridge_common.bus.nats import Bus
from aibridge_common.contracts.orders import (
    AccountShown,
    Adjust,
    AdjustmentShown,
    Decide,
    SetAccountStatus,
)
from aibridge_common.db.audit import record
from aibridge_common.db.engine import Database, Transaction, transaction
from aibridge_common.db.idempotency import IdempotentCall, once
from aibridge_common.errors import Conflict, Forbidden, InvalidRequest
from aibridge_common.ids import uuid7
from aibridge_common.usage import MICROTOKENS_PER_TOKEN

ADJUSTMENT_MAX = 10**18
"""What the table takes."""


class AdjustmentController(Controller):
    """Tokens given or taken by hand, with a reason and, above a limit, a second person."""

    path, tags = "/v1", ["adjustments"]

    @post("/accounts/{account_id:uuid}/adjustments", operation_id="Adjust")
    async def adjust(
        self,
        account_id: FromPath[UUID],
        data: JSONBody[Adjust],
        database: NamedDependency[Database],
        adjustment_limit_tokens: NamedDependency[int],
        caller: NamedDependency[str],
        call: NamedDependency[IdempotentCall | None],
    ) -> AdjustmentShown:
        """Done at once up to the limit, which counts what one person did to one account within a day."""
        amount = int(data.microtokens)
        if abs(amount) > ADJUSTMENT_MAX:
            raise InvalidRequest("no adjustment is that large", param="microtokens")
        try:
            async with transaction(database) as tx:
                await open_account(tx, account_id)

                async def create() -> AdjustmentShown:
                    adjustment_id = uuid7()
                    before = await given_today(tx, account_id, data.actor)
                    await add_adjustment(
                        tx,
                        adjustment_id=adjustment_id,
                        account_id=account_id,
                        microtokens=amount,
                        reason=data.reason,
                        actor=data.actor,
                    )
                    if before + abs(amount) <= adjustment_limit_tokens * MICROTOKENS_PER_TOKEN:
                        await _do(tx, adjustment_id)
                    await record(
                        tx, caller, "adjustment.ask", str(adjustment_id), to_builtins(data)
                    )
                    return await show_adjustment(tx, adjustment_id)

                return await once(tx, call, AdjustmentShown, create)
        except IntegrityError:
            raise _too_much() from None

    @post(
        "/adjustments/{adjustment_id:uuid}/decision",
        operation_id="DecideAdjustment",
        status_code=200,
    )
    async def decide(
        self,
        adjustment_id: FromPath[UUID],
        data: JSONBody[Decide],
        database: NamedDependency[Database],
        caller: NamedDependency[str],
    ) -> AdjustmentShown:
        """The second signature, by another person than the first. Safe to repeat by the same person."""
        try:
            async with transaction(database) as tx:
                before = await show_adjustment(tx, adjustment_id)
                if before.actor == data.actor:
                    raise Forbidden("the second signature is another person's", param="actor")
                if before.state == "waiting":
                    await sign(tx, adjustment_id, data.actor, approve=data.approve)
                    if data.approve:
                        await _do(tx, adjustment_id)
                    await record(
                        tx, caller, "adjustment.decide", str(adjustment_id), to_builtins(data)
                    )
                shown = await show_adjustment(tx, adjustment_id)
        except IntegrityError:
            raise _too_much() from None
        if (shown.state, shown.second) != ("done" if data.approve else "rejected", data.actor):
            raise Conflict(f"this adjustment is {shown.state} already", param="adjustment_id")
        return shown

    @get("/adjustments", operation_id="ListAdjustments")
    async def list_all(
        self,
        database: NamedDependency[Database],
        account_id: FromQuery[UUID | None] = None,
        waiting: FromQuery[bool] = False,
    ) -> list[AdjustmentShown]:
        """The newest 200, of one account where one is named; with `waiting=true` those that need a second person."""
        async with transaction(database) as tx:
            return await list_adjustments(tx, account_id, waiting=waiting)


class AccountController(Controller):
    """Whether an account may spend."""

    path, tags = "/v1/accounts", ["accounts"]

    @get("/{account_id:uuid}", operation_id="GetAccount")
    async def show(
        self, account_id: FromPath[UUID], database: NamedDependency[Database]
    ) -> AccountShown:
        """An account that billing never heard of is active, and has nothing."""
        async with transaction(database) as tx:
            return await account_shown(tx, account_id)

    @put("/{account_id:uuid}/status", operation_id="SetAccountStatus")
    async def set_status(
        self,
        account_id: FromPath[UUID],
        data: JSONBody[SetAccountStatus],
        database: NamedDependency[Database],
        bus: NamedDependency[Bus],
        caller: NamedDependency[str],
    ) -> AccountShown:
        """Stop an account's spending, or let it spend again, as after a charge-back that was settled."""
        async with transaction(database) as tx:
            await open_account(tx, account_id)
            await set_status(tx, account_id, data.status)
            await record(tx, caller, f"account.{data.status}", str(account_id), to_builtins(data))
            shown = await account_shown(tx, account_id)
        if data.status != "active":
            await recall_leases(bus, account_id)
        return shown


async def _do(tx: Transaction, adjustment_id: UUID) -> None:
    done = await do_adjustment(tx, adjustment_id)
    if done is None:
        raise Conflict("this adjustment was decided this very moment", param="adjustment_id")
    if not done:
        raise Conflict("so many tokens are not free on this account", param="microtokens")


def _too_much() -> Conflict:
    return Conflict("the ledger refused: no account can hold so much", param="microtokens")
