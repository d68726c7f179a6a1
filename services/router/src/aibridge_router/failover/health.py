"""What this router knows of every way to the vendors: breakers, ejected keys, keys that cool down. Pure.

A way is a key at a provider for a model. Routers tell each other what changed (`notices`, `hear`); nothing is asked of
anyone when a request comes.
"""

import random
from collections.abc import Iterator
from enum import StrEnum
from uuid import UUID

from msgspec import Struct

from aibridge_common.contracts.router import WayStatus
from aibridge_router.failover.breaker import Breaker, State
from aibridge_router.failover.budget import Budget
from aibridge_router.failover.failure import Failure
from aibridge_router.failover.policy import REACTIONS, Blame

EJECT_S = 600.0
"""A key without credit, or a model that is gone, is put right by people: minutes, not seconds."""

COOL_S = 5.0
COOL_S_MAX = 60.0
"""How long a key rests after a 429, when the vendor does not say, and at most when it does."""

LAST_WAY_EVERY_S = 5.0
"""How often an ejected key is tried when there is nothing else."""

RETRY_SHARE, RETRY_PER_S, RETRIES_MOST = 0.1, 1.0, 10.0
"""Retries at one provider: a tenth of its requests and one a second (SRE book, ch. 21: 10 % per client)."""

Way = tuple[str, UUID, str]
"""Provider, key, model."""


class Change(StrEnum):
    """What one router tells the others."""

    OPENED = "opened"
    CLOSED = "closed"
    EJECTED = "ejected"
    COOLS = "cools"
    FORGOTTEN = "forgotten"
    """Of a whole provider: an operator has put something right there."""


class Notice(Struct, frozen=True, kw_only=True):
    """A change. `model` None means every model of the key; `key` None every key at the provider."""

    change: Change
    provider: str
    key: UUID | None = None
    model: str | None = None
    for_s: float = 0.0
    failure: str = ""


class _Rest(Struct, frozen=True):
    """Why something is not used until then."""

    until_s: float
    failure: str


class Health:
    """See the module. `rng` spreads the probes of several routers."""

    def __init__(self, rng: random.Random) -> None:
        self._rng = rng
        self._breakers: dict[Way, Breaker] = {}
        self._ejected: dict[tuple[str, UUID | None, str | None], _Rest] = {}
        self._cooling: dict[UUID, _Rest] = {}
        self._tried_at_s: dict[Way, float] = {}
        self._retries: dict[str, Budget] = {}
        self._notices: list[Notice] = []

    # --- what a walk asks ---------------------------------------------------------------------

    def why_not(self, now_s: float, way: Way) -> str | None:
        """Why this way is not to be taken now; None when it may be."""
        if self._ejected and (rest := self._ejected_rest(now_s, way)) is not None:
            return f"ejected after {rest.failure}, {rest.until_s - now_s:.0f} s left"
        if self._cooling and (rest := self._cooling.get(way[1])) is not None:
            if rest.until_s > now_s:
                return f"the key cools down, {rest.until_s - now_s:.0f} s left"
            del self._cooling[way[1]]
        breaker = self._breakers.get(way)
        if breaker is None or breaker.allows(now_s):
            return None
        return "circuit open" if breaker.state is State.OPEN else "circuit half-open, being probed"

    def lets_through(self, now_s: float, way: Way) -> bool:
        """Whether the way's circuit has a place for a request now."""
        breaker = self._breakers.get(way)
        return breaker is None or breaker.allows(now_s)

    def begin(self, now_s: float, way: Way) -> bool:
        """A request goes this way; whether it is a probe. One of the three below must follow."""
        self._budget(way[0]).request()
        return self._breaker(way).begin(now_s)

    def cools_for_s(self, now_s: float, way: Way) -> float:
        """How long the vendor asked us to leave the key alone."""
        rest = self._cooling.get(way[1])
        return max(0.0, rest.until_s - now_s) if rest is not None else 0.0

    def rests_for_s(self, now_s: float, way: Way) -> float:
        """How long this way is left alone from now; 0 for one that may be taken."""
        rest = self._ejected_rest(now_s, way)
        breaker = self._breakers.get(way)
        opened = breaker is not None and breaker.state is State.OPEN
        return max(
            rest.until_s - now_s if rest is not None else 0.0,
            self.cools_for_s(now_s, way),
            breaker.retry_at_s - now_s if breaker is not None and opened else 0.0,
        )

    def is_otherwise_fine(self, now_s: float, way: Way) -> bool:
        """Whether others were served this way just now, so that a failure may be the request's own."""
        breaker = self._breakers.get(way)
        return breaker is not None and breaker.is_fine(now_s)

    def last_way(self, now_s: float, way: Way) -> bool:
        """Whether a request may go a way that is not well, because there is no other. A few do."""
        if self.cools_for_s(now_s, way) > 0:
            return False
        if self._ejected_rest(now_s, way) is not None:
            if now_s < self._tried_at_s.get(way, float("-inf")) + LAST_WAY_EVERY_S:
                return False
            self._tried_at_s[way] = now_s
            return True
        return self.lets_through(now_s, way) or self._breaker(way).trickle()

    def may_retry(self, now_s: float, provider: str) -> bool:
        """Whether the provider's retry budget has one left; takes it."""
        return self._budget(provider).take(now_s)

    # --- what a request reports ---------------------------------------------------------------

    def succeeded(self, now_s: float, way: Way, *, probe: bool) -> None:
        """The way gave an answer."""
        if self._breaker(way).succeeded(now_s, probe=probe):
            self._tell(Change.CLOSED, way)
        if self._ejected:
            self._readmit(now_s, way)

    def failed(
        self,
        now_s: float,
        way: Way,
        failure: Failure,
        *,
        probe: bool,
        retry_after_s: float | None = None,
    ) -> None:
        """The attempt failed; what that means for others is the table in `policy`."""
        blame = REACTIONS[failure].blame
        provider, key, model = way
        if blame in {Blame.WAY, Blame.WAY_AT_ONCE}:
            breaker = self._breaker(way)
            if breaker.failed(now_s, probe=probe, at_once=blame is Blame.WAY_AT_ONCE):
                self._tell(Change.OPENED, way, breaker.retry_at_s - now_s, failure)
            return
        self.abandoned(way, probe=probe)
        if blame is Blame.KEY_COOLS:
            wait_s = min(COOL_S if retry_after_s is None else retry_after_s, COOL_S_MAX)
            self._cooling[key] = _Rest(now_s + wait_s, failure)
            self._tell(Change.COOLS, way, wait_s, failure)
        elif blame in _EJECTS:
            of_key, of_model = _EJECTS[blame]
            place = (provider, key if of_key else None, model if of_model else None)
            self._ejected[place] = _Rest(now_s + EJECT_S, failure)
            self._tried_at_s[way] = now_s
            self._notices.append(
                Notice(
                    change=Change.EJECTED,
                    provider=provider,
                    key=place[1],
                    model=place[2],
                    for_s=EJECT_S,
                    failure=failure,
                )
            )

    def abandoned(self, way: Way, *, probe: bool) -> None:
        """The attempt ended without a word about the way."""
        if probe:
            self._breaker(way).abandoned(probe=True)

    # --- between routers ----------------------------------------------------------------------

    def take_notices(self) -> list[Notice]:
        """What changed here since the last call."""
        notices, self._notices = self._notices, []
        return notices

    def hear(self, now_s: float, notice: Notice) -> None:
        """Another router saw a change. What we know ourselves is not made better by hearsay, only tried sooner."""
        if notice.change is Change.FORGOTTEN:
            self._forget(notice.provider)
            return
        place = (notice.provider, notice.key, notice.model)
        for_s = min(max(notice.for_s, 0.0), EJECT_S)
        if notice.change is Change.EJECTED:
            heard = _Rest(now_s + for_s, notice.failure)
            self._ejected[place] = _longer(self._ejected.get(place), heard)
        elif notice.key is None:
            return
        elif notice.change is Change.COOLS:
            heard = _Rest(now_s + min(for_s, COOL_S_MAX), notice.failure)
            self._cooling[notice.key] = _longer(self._cooling.get(notice.key), heard)
        elif notice.model is not None:
            way = (notice.provider, notice.key, notice.model)
            breaker = self._breaker(way)
            if notice.change is Change.CLOSED:
                breaker.probe_soon(now_s)
                for ejected in _places_of(way):  # what was served proves the key and the model
                    self._ejected.pop(ejected, None)
            elif breaker.state is State.CLOSED:
                breaker.open(now_s)

    def forget(self, provider: str) -> None:
        """Try everything at a provider anew, here and in the other routers."""
        self._forget(provider)
        self._notices.append(Notice(change=Change.FORGOTTEN, provider=provider))

    def status(self, now_s: float) -> list[WayStatus]:
        """Every way that was ever used or heard of."""
        found = [
            WayStatus(
                provider=way[0],
                key_id=way[1],
                model=way[2],
                state=breaker.state.value,
                reason=self.why_not(now_s, way) or "",
                retry_in_s=self.rests_for_s(now_s, way),
            )
            for way, breaker in self._breakers.items()
        ]
        return sorted(found, key=lambda one: (one.provider, one.model, str(one.key_id)))

    # --- inside -------------------------------------------------------------------------------

    def _forget(self, provider: str) -> None:
        keys = {way[1] for way in self._breakers if way[0] == provider}
        for way, breaker in self._breakers.items():
            if way[0] == provider:
                breaker.reset()
        self._ejected = {p: rest for p, rest in self._ejected.items() if p[0] != provider}
        self._cooling = {key: rest for key, rest in self._cooling.items() if key not in keys}

    def _breaker(self, way: Way) -> Breaker:
        breaker = self._breakers.get(way)
        if breaker is None:
            breaker = self._breakers[way] = Breaker(self._rng)
        return breaker

    def _budget(self, provider: str) -> Budget:
        budget = self._retries.get(provider)
        if budget is None:
            budget = self._retries[provider] = Budget(RETRY_SHARE, RETRY_PER_S, RETRIES_MOST)
        return budget

    def _ejected_rest(self, now_s: float, way: Way) -> _Rest | None:
        for place in _places_of(way):
            rest = self._ejected.get(place)
            if rest is None:
                continue
            if rest.until_s > now_s:
                return rest
            del self._ejected[place]
        return None

    def _readmit(self, now_s: float, way: Way) -> None:
        gone = [place for place in _places_of(way) if self._ejected.pop(place, None) is not None]
        if gone:
            self._tell(Change.CLOSED, way)
        self._tried_at_s.pop(way, None)
        self._ejected = {p: rest for p, rest in self._ejected.items() if rest.until_s > now_s}

    def _tell(self, change: Change, way: Way, for_s: float = 0.0, failure: str = "") -> None:
        self._notices.append(
            Notice(
                change=change,
                provider=way[0],
                key=way[1],
                model=way[2],
                for_s=for_s,
                failure=failure,
            )
        )


_EJECTS: dict[Blame, tuple[bool, bool]] = {
    Blame.KEY: (True, False),
    Blame.ACCESS: (True, True),
    Blame.MODEL: (False, True),
}
"""Whether an ejection is of one key, and of one model."""


def _longer(known: _Rest | None, heard: _Rest) -> _Rest:
    return heard if known is None or heard.until_s > known.until_s else known


def _places_of(way: Way) -> Iterator[tuple[str, UUID | None, str | None]]:
    provider, key, model = way
    yield provider, key, None
    yield provider, key, model
    yield provider, None, model
