"""One request's way along its chain: which target and key next, and why others are passed over. Pure.

The order: the model that was asked for with each of our keys, its siblings at other providers, then the same for each
backup. `next` says where to go; `failed`, `skip` or `succeeded` says how it went.
"""

import hashlib
import random
from collections import Counter
from collections.abc import Callable, Sequence

from msgspec import Struct, structs

from aibridge_router.catalog.registry import ChainOfTargets, Target, UpstreamKey
from aibridge_router.failover.budget import Budget
from aibridge_router.failover.failure import Failure
from aibridge_router.failover.health import Health, Way
from aibridge_router.failover.policy import REACTIONS, Then

BACKOFF_S = 0.1
"""Full jitter: the wait before the one retry is anything up to twice this, so that retries do not come in waves."""

PATIENCE_S = 2.0
"""A vendor that asks for no more than this is waited for when no other key is there."""

EGRESSES_MAX = 3
"""Ways out that one provider is tried through."""

FURTHER_SHARE, FURTHER_PER_S, FURTHER_MOST = 0.2, 5.0, 50.0
"""Attempts beyond the second of a request, over all: one dead provider must not triple the load on the next."""


def further_budget() -> Budget:
    """The budget of a router's third attempts."""
    return Budget(FURTHER_SHARE, FURTHER_PER_S, FURTHER_MOST)


class Rules(Struct, frozen=True, kw_only=True):
    """What a request allows. Without `failover` only the model that was asked for answers, wherever it is hosted."""

    failover: bool = True
    larger_context: bool = False
    attempts_max: int = 5


class Step(Struct, frozen=True, kw_only=True):
    """One attempt to make: whom to call with which key, after waiting."""

    target: Target
    key: UpstreamKey
    way: Way
    wait_s: float = 0.0
    stand_in: bool = False
    """Whether the model is another than the one that was asked for."""
    own: bool = False
    """Whether the key is the customer's: then it is no step of this walk, and says nothing about the operator's."""


class PassedOver(Struct, frozen=True, kw_only=True):
    """A place of the chain that is not tried, and why."""

    model: str
    provider: str
    reason: str


class _Place(Struct):
    step: Step
    gone: str | None = None
    """Why it is not tried any more."""


class Walk:
    """See the module. `session` keeps a conversation on one key; `further` bounds third attempts over all requests."""

    def __init__(
        self,
        chain: ChainOfTargets,
        health: Health,
        further: Budget,
        rng: random.Random,
        rules: Rules,
        session: bytes,
    ) -> None:
        self._health = health
        self._further = further
        self._rng = rng
        self._rules = rules
        self._missing = chain.missing
        self._places = [
            _place(chain, target, key, rules)
            for target in chain.targets
            for key in _by_session(target.keys, session)
        ]
        self._again: Step | None = None
        self._retried: set[str] = set()
        self._egresses = Counter[str]()
        self._last: Step | None = None
        """What is tried though nothing is well."""
        self._crashed: set[str] = set()
        self.stopped = False
        self.attempts = 0

    def next(self, now_s: float) -> Step | None:
        """The next attempt to make; None when there is none left."""
        if self.stopped or self.attempts >= self._rules.attempts_max:
            return None
        step, self._again = self._again, None
        if step is None:
            step = self._first_well(now_s) or self._last_way(now_s)
        if step is None or (self.attempts >= 2 and not self._further.take(now_s)):
            return None
        return step

    def lost_its_turn(self, now_s: float, step: Step) -> bool:
        """Whether another request took the probe, or the circuit opened, while this one waited after `next`."""
        return step is not self._last and not self._health.lets_through(now_s, step.way)

    def begin(self, now_s: float, step: Step) -> bool:
        """The attempt is made; whether it is a probe."""
        if not self.attempts:
            self._further.request()
        self.attempts += 1
        return self._health.begin(now_s, step.way)

    def skip(self, step: Step, reason: str) -> None:
        """The target cannot carry this request: none of its keys is tried."""
        self._rule_out(reason, lambda other: other.target is step.target)

    def failed(
        self,
        now_s: float,
        step: Step,
        failure: Failure,
        *,
        retry_after_s: float | None = None,
        crashed: bool = False,
    ) -> None:
        """The attempt failed before its commit point; `crashed` is a plain 500, the provider's own bug."""
        if crashed and self._health.is_otherwise_fine(now_s, step.way):
            self._crashed.add(step.way[0])
            if len(self._crashed) > 1:
                self.stopped = True
                return
        self._go_on(now_s, step, failure, retry_after_s)

    def forecast(self, now_s: float) -> list[Step]:
        """The attempts that would be made if each failed in a way that leads to the next; changes nothing.

        Where no place is well this is the first that is left as the last way out, of which only some requests go.
        """
        left = [place.step for place in self._places if place.gone is None]
        well = [step for step in left if self._health.why_not(now_s, step.way) is None]
        cool = [step for step in left if not self._health.cools_for_s(now_s, step.way)]
        return (well or cool[:1])[: self._rules.attempts_max]

    def cut(self, step: Step) -> None:
        """The target answered and broke off: it is not asked to go on."""
        self._rule_out("it broke off", lambda other: other.target is step.target)

    @property
    def poisoned(self) -> bool:
        """Whether the request made two providers fail that serve others well."""
        return len(self._crashed) > 1

    def passed_over(self, now_s: float) -> list[PassedOver]:
        """Places that were not or will not be tried, in the chain's order, and why."""
        found = [
            PassedOver(model=gone.model, provider=gone.provider, reason=gone.reason)
            for gone in self._missing
        ]
        for place in self._places:
            reason = place.gone or self._health.why_not(now_s, place.step.way)
            if reason is not None:
                target = place.step.target
                found.append(
                    PassedOver(model=target.model.id, provider=target.provider.name, reason=reason)
                )
        return found

    def retry_in_s(self, now_s: float) -> float | None:
        """When the first place that is not well may be tried again; None when health is not what is in the way."""
        waits = [
            wait_s
            for place in self._places
            if place.gone is None
            and (wait_s := self._health.rests_for_s(now_s, place.step.way)) > 0
        ]
        return min(waits, default=None)

    # --- inside -------------------------------------------------------------------------------

    def _go_on(
        self, now_s: float, step: Step, failure: Failure, retry_after_s: float | None
    ) -> None:
        why = f"it failed: {failure}"
        then = REACTIONS[failure].then
        if step.stand_in and failure is Failure.CALLER:
            then = Then.NEXT_TARGET  # it was asked in our words, not in the customer's
        match then:
            case Then.RETRY if self._may_retry(now_s, step):
                self._retried.add(step.way[0])
                self._again = _waiting(step, self._rng.uniform(0, 2 * BACKOFF_S))
            case Then.RETRY | Then.NEXT_TARGET:
                self._rule_out(why, lambda other: other.target is step.target)
            case Then.NEXT_KEY:
                self._next_key(step, why, failure, retry_after_s)
            case Then.NEXT_EGRESS if self._egresses[step.way[0]] < EGRESSES_MAX - 1:
                self._egresses[step.way[0]] += 1
                self._again = _waiting(step, 0.0)
            case Then.NEXT_EGRESS | Then.NEXT_PROVIDER:
                self._rule_out(why, lambda other: other.way[0] == step.way[0])
            case Then.LARGER_CONTEXT if self._rules.larger_context or step.stand_in:
                # A stand-in's limit is its own: the model that was asked for may have taken the prompt.
                self._demand_context(step.target.model.context_tokens)
            case _:  # STOP, or a larger context where the customer did not choose that
                self.stopped = True

    def _first_well(self, now_s: float) -> Step | None:
        for place in self._places:
            if place.gone is None and self._health.why_not(now_s, place.step.way) is None:
                return place.step
        return None

    def _last_way(self, now_s: float) -> Step | None:
        if self._last is not None:
            return None
        for place in self._places:
            if place.gone is None and self._health.last_way(now_s, place.step.way):
                self._last = place.step
                return place.step
        return None

    def _may_retry(self, now_s: float, step: Step) -> bool:
        return (
            step.way[0] not in self._retried
            and self._health.why_not(now_s, step.way) is None
            and self._health.may_retry(now_s, step.way[0])
        )

    def _next_key(
        self, step: Step, why: str, failure: Failure, retry_after_s: float | None
    ) -> None:
        self._rule_out(why, lambda other: other.way == step.way)
        others = any(
            place.gone is None and place.step.target is step.target for place in self._places
        )
        waits = failure is Failure.RATE_LIMIT and retry_after_s is not None
        if waits and not others and step.way[0] not in self._retried:
            assert retry_after_s is not None, "it waits for what was said"
            if retry_after_s <= PATIENCE_S:
                self._retried.add(step.way[0])
                self._again = _waiting(step, retry_after_s)

    def _demand_context(self, tokens: int) -> None:
        self._rule_out(
            f"its context is not larger than {tokens} tokens",
            lambda other: other.target.model.context_tokens <= tokens,
        )

    def _rule_out(self, reason: str, which: Callable[[Step], bool]) -> None:
        for place in self._places:
            if place.gone is None and which(place.step):
                place.gone = reason


def _place(chain: ChainOfTargets, target: Target, key: UpstreamKey, rules: Rules) -> _Place:
    stand_in = target.model is not chain.model
    step = Step(
        target=target,
        key=key,
        way=(target.provider.name, key.id, target.model.id),
        stand_in=stand_in,
    )
    return _Place(step, "failover is off" if stand_in and not rules.failover else None)


def _waiting(step: Step, wait_s: float) -> Step:
    return structs.replace(step, wait_s=wait_s)


def _by_session(keys: Sequence[UpstreamKey], session: bytes) -> Sequence[UpstreamKey]:
    """The keys in the conversation's own order (rendezvous hashing): a lost key moves only its own conversations."""
    if len(keys) == 1:
        return keys
    return sorted(
        keys, key=lambda key: hashlib.blake2b(session + key.id.bytes, digest_size=8).digest()
    )
