"""What a client is told when no target answered: one honest error. Pure."""

from collections.abc import Sequence

from aibridge_common.errors import AIBridgeError, Unavailable, UpstreamTimeout
from aibridge_router.exchange.attempt import AttemptFailed
from aibridge_router.failover.walk import PassedOver, Step


def all_failed(
    failed: Sequence[tuple[Step, AttemptFailed]], retry_s: float | None
) -> AIBridgeError:
    """The first failure's kind, since it is about the model that was asked for, naming every attempt."""
    first = failed[0][1].error
    told = [f"{step.target.model.id}: {each.error.message}" for step, each in failed]
    several = len({(step.target.provider.name, step.target.model.id) for step, _ in failed}) > 1
    error = type(first)("; ".join(dict.fromkeys(told)) if several else first.message)
    error.retry_after_s = first.retry_after_s
    if error.retry_after_s is None and isinstance(error, Unavailable):
        error.retry_after_s = _whole(retry_s)
    error.final = len(failed) > 1
    return error


def none_tried(
    asked_for: str, over: Sequence[PassedOver], retry_s: float | None, *, has_time: bool
) -> AIBridgeError:
    """Nobody was asked: there was no time, or every place of the chain was passed over."""
    if not has_time:
        return UpstreamTimeout(f"{asked_for}: no time is left")
    reasons = "; ".join(f"{one.model} at {one.provider}: {one.reason}" for one in over)
    return Unavailable(
        f"{asked_for} cannot be served now: {reasons or 'nothing is set up for it'}",
        retry_after_s=_whole(retry_s),
    )


def _whole(retry_s: float | None) -> int:
    return max(1, round(retry_s or 0))
