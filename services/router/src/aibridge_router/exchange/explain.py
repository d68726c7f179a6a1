"""What would happen to a request: what is tried in which order, why others are not, and what it costs at most.

It asks the same walk and the same plans as an exchange does, so it cannot say anything else than what then happens.
"""

from msgspec import Struct

from aibridge_common.errors import InvalidRequest
from aibridge_common.structs import Reply
from aibridge_router.credit.estimate import need_of
from aibridge_router.exchange.asked import Asked
from aibridge_router.exchange.inline import FetchFirst
from aibridge_router.exchange.passthrough import Passthrough
from aibridge_router.exchange.plan import Plan, plan_attempt
from aibridge_router.failover.walk import PassedOver, Step, Walk


class WouldTry(Struct, frozen=True, kw_only=True):
    """One attempt that would be made.

    `key` counts the operator's keys there; `conversion` is the dialect it is put into.
    """

    model: str
    provider: str
    key: int
    stand_in: bool
    worst_charge_microtokens: str
    conversion: str | None = None
    dropped: tuple[str, ...] = ()
    note: str | None = None


class Explanation(Reply, frozen=True, kw_only=True):
    """The answer of `POST /v1/route/explain`. Only the attempt that answers is charged."""

    model: str
    tries: list[WouldTry]
    passed_over: list[PassedOver]
    worst_charge_microtokens: str


def explain(now_s: float, asked: Asked, walk: Walk) -> Explanation:
    """Go along the chain as an exchange would. Raises `InvalidRequest` where the model asked for cannot carry it."""
    tries: list[WouldTry] = []
    dearest = 0
    for step in walk.forecast(now_s):
        note, plan = None, None
        try:
            plan = plan_attempt(asked, step.target)
        except FetchFirst:
            note = "what the prompt points to is fetched first"
        except InvalidRequest as error:
            if not step.stand_in:
                raise
            walk.skip(step, error.message)
            continue
        worst = _worst(asked, step, len(plan.body) if plan is not None else len(asked.body))
        dearest = max(dearest, worst)
        tries.append(_would_try(step, plan, worst, note))
    return Explanation(
        model=asked.chain.model.id,
        tries=tries,
        passed_over=walk.passed_over(now_s),
        worst_charge_microtokens=str(dearest),
    )


def _would_try(step: Step, plan: Plan | None, worst: int, note: str | None) -> WouldTry:
    target = step.target
    passes = plan is None or isinstance(plan.carriage, Passthrough)
    return WouldTry(
        model=target.model.id,
        provider=target.provider.name,
        key=target.keys.index(step.key) + 1,
        stand_in=step.stand_in,
        worst_charge_microtokens=str(worst),
        conversion=None if passes else target.own_dialect.value,
        dropped=plan.carriage.dropped if plan is not None else (),
        note=note,
    )


def _worst(asked: Asked, step: Step, body_bytes: int) -> int:
    target = step.target
    rates = target.card.multipliers
    return need_of(asked.head, body_bytes, target.model, rates, sliced=False).most_microtokens
