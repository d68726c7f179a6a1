"""From an attempt that is over to its charge and the event that records it."""

from uuid import UUID

from msgspec import Struct

from aibridge_common.clock import Clock
from aibridge_common.events.usage import AttemptRecorded, Outcome, UsageRecorded
from aibridge_common.telemetry.log import get_logger
from aibridge_common.usage import Usage, charge_microtokens
from aibridge_router.credit.book import Hold
from aibridge_router.dialects.body import BYTES_PER_TOKEN
from aibridge_router.exchange.asked import Asked
from aibridge_router.exchange.attempt import Attempt, WholeReply
from aibridge_router.exchange.inbound import Inbound
from aibridge_router.exchange.settlement import Ending, settle


class Began(Struct, frozen=True, kw_only=True):
    """The request that an attempt served, and when it began and first had content (monotonic)."""

    inbound: Inbound
    asked: Asked
    at_s: float
    first_content_s: float | None
    attempts: list[AttemptRecorded]


class Charge(Struct, frozen=True, kw_only=True):
    """What an attempt costs. No event means that there is nothing to record."""

    usage: Usage
    amount_microtokens: int
    event: UsageRecorded | None


def input_estimate(attempt: Attempt) -> int:
    """Tokens of the prompt, where the provider does not say."""
    context_tokens = attempt.step.target.model.context_tokens
    return min(len(attempt.plan.body) // BYTES_PER_TOKEN, context_tokens)


def ending_of(attempt: Attempt, reply: WholeReply | None, left_by_client: bool) -> Ending:
    """How the attempt ended, as far as money is concerned."""
    tap, estimate = attempt.tap, input_estimate(attempt)
    if reply is not None:
        return Ending(
            outcome=Outcome.COMPLETED,
            reported=reply.usage,
            reported_is_final=reply.usage is not None,
            delivered_tokens=reply.upstream_bytes // BYTES_PER_TOKEN,
            input_estimate=estimate,
        )
    if tap is None:
        return Ending(outcome=Outcome.UPSTREAM_ERROR)
    if attempt.ended_early:
        outcome = Outcome.HOLD_SPENT
    elif left_by_client:
        outcome = Outcome.CLIENT_GONE
    elif tap.failed:
        outcome = Outcome.UPSTREAM_ERROR
    else:
        outcome = Outcome.COMPLETED if tap.terminal else Outcome.UPSTREAM_CUT
    return Ending(
        outcome=outcome,
        reported=tap.usage,
        reported_is_final=tap.usage_is_final,
        delivered_tokens=tap.output_estimate,
        input_estimate=estimate,
    )


def charge_for(
    began: Began, attempt: Attempt, ending: Ending, hold: Hold | None, clock: Clock, *, leg: int
) -> Charge:
    """Price the attempt at the model that answered. `leg` counts the models that gave one answer, from 0."""
    settlement = settle(ending)
    if settlement.usage is None:
        return Charge(usage=Usage(), amount_microtokens=0, event=None)
    target, inbound = attempt.step.target, began.inbound
    now_s = clock.monotonic_s()
    first_s = began.first_content_s if began.first_content_s is not None else now_s
    event = UsageRecorded(
        event_id=leg_id(inbound.request_id, leg),
        request_id=inbound.request_id if leg else None,
        account_id=inbound.account_id,
        key_id=inbound.key_id,
        lease_id=hold.lease_id if hold is not None else None,
        requested_model=began.asked.head.model,
        billed_model=target.model.id,
        provider=target.provider.name,
        price_version=target.card.version,
        usage=settlement.usage,
        source=settlement.source,
        outcome=ending.outcome,
        occurred_at=clock.now(),
        endpoint=began.asked.dialect.value,
        stream=attempt.tap is not None,
        first_content_ms=int((first_s - began.at_s) * 1000),
        total_ms=int((now_s - began.at_s) * 1000),
        attempts=list(began.attempts),
        reported=attempt.reported.objects(),
        own_key=attempt.step.own,
        doubt=settlement.usage.doubt(target.model.context_tokens),
    )
    if event.doubt is not None:
        get_logger().error("usage.implausible", request_id=inbound.public_id, reason=event.doubt)
        return Charge(usage=settlement.usage, amount_microtokens=0, event=event)
    if event.own_key:
        return Charge(usage=settlement.usage, amount_microtokens=0, event=event)
    amount = charge_microtokens(settlement.usage, target.card.multipliers)
    return Charge(usage=settlement.usage, amount_microtokens=amount, event=event)


def leg_id(request_id: UUID, leg: int) -> UUID:
    """The idempotency key of a charge: the request's own, and for further legs of the same request its neighbours."""
    return UUID(int=request_id.int ^ leg)
