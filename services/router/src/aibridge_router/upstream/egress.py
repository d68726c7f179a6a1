"""Which way out a request takes, and whose fault it is when it does not arrive. No I/O, no clock of its own.

| what is seen                           | whose fault    | what is ejected                | until                   |
|----------------------------------------|----------------|--------------------------------|-------------------------|
| `DEAD`: the proxy itself failed        | the egress's   | the egress, for every provider | a probe passes          |
| `UNREACHABLE`, and another egress      | this egress's  | the egress, for this provider  | a probe passes          |
| reached the provider in the last 30 s  |                |                                |                         |
| `UNREACHABLE`, and no other one did    | the provider's | nothing                        |                         |
| `BLOCKED`: the provider turns it away  | this egress's  | the egress, for this provider  | 10 min, then one tries  |

The last way out is never ejected: where every allowed one is unhealthy, the one that failed longest ago is taken.
"""

import hashlib
from collections.abc import Collection, Sequence
from enum import Enum
from typing import Literal

from msgspec import Struct

from aibridge_common.contracts.router import EgressStatus, Health, ProviderHealth
from aibridge_common.proxy import Proxy

REACHED_WITHIN_S = 30.0
"""Another egress's success proves a provider alive for so long; vendors' outages last longer, blips shorter."""
BLOCKED_S = 600.0
"""Regions and reputations do not change by the minute, and each try costs a customer's request an attempt."""
PROBE_PAUSE_S = 2.0
PROBE_PAUSE_S_MAX = 8.0
"""With a second for the tick and one for the probe, an egress that recovers is back within 10 s."""


class WayOut(Struct, frozen=True, kw_only=True):
    """An egress of the pool; `proxy` None leaves directly."""

    name: str
    proxy: Proxy | None = None
    draining: bool = False


DIRECT = WayOut(name="direct")
"""The only way out where the catalogue has no egress."""


class EgressEvent(Enum):
    """What became of a request's way out; the table above says what follows."""

    OK = "ok"
    """The provider answered through it, whatever it answered."""
    DEAD = "dead"
    UNREACHABLE = "unreachable"
    BLOCKED = "blocked"


class _Outage:
    """Why a way is not taken. `again_at_s` is the next probe, or when a request may try."""

    def __init__(self, kind: Health, now_s: float, pause_s: float) -> None:
        self.kind: Health = kind
        self.since_s = now_s
        self.failed_at_s = now_s
        self.pause_s = pause_s
        self.again_at_s = now_s + pause_s


class _Pair:
    """One provider through one egress."""

    def __init__(self, now_s: float) -> None:
        self.outage: _Outage | None = None
        self.healthy_since_s = now_s
        self.reached_at_s = float("-inf")
        self.served = 0
        self.failed = 0

    def open(self, kind: Health, now_s: float, pause_s: float) -> None:
        outage = self.outage
        if outage is None or outage.kind not in {kind, "blocked"}:
            self.outage = _Outage(kind, now_s, pause_s)
            return
        outage.failed_at_s = now_s
        if kind == "blocked":
            outage.again_at_s = now_s + pause_s

    def heal(self, now_s: float) -> None:
        self.outage = None
        self.healthy_since_s = now_s


class _Egress:
    """A way out and what is known of it."""

    def __init__(self, way: WayOut) -> None:
        self.way = way
        self.listed = True
        self.running = 0
        self.dead: _Outage | None = None
        self.dead_for = ""
        """The provider that the failed request was for: what a probe then asks for."""
        self.pairs: dict[str, _Pair] = {}

    def pair(self, provider: str, now_s: float) -> _Pair:
        pair = self.pairs.get(provider)
        if pair is None:
            pair = self.pairs[provider] = _Pair(now_s)
        return pair

    def serves(self, provider: str, now_s: float) -> bool:
        if self.dead is not None:
            return False
        pair = self.pairs.get(provider)
        outage = pair.outage if pair is not None else None
        return outage is None or (outage.kind == "blocked" and outage.again_at_s <= now_s)

    def failed_at_s(self, provider: str) -> float:
        pair = self.pairs.get(provider)
        outages = (self.dead, pair.outage if pair is not None else None)
        return max(outage.failed_at_s for outage in outages if outage is not None)

    def forget(self) -> None:
        self.dead = None
        self.pairs = {}


class EgressPool:
    """The ways out of one router, with their health. Times are monotonic seconds."""

    def __init__(self) -> None:
        self._egresses: dict[str, _Egress] = {}
        self._active: tuple[_Egress, ...] = ()
        self._only: _Egress | None = None
        self.configure([])

    def configure(self, ways: Sequence[WayOut]) -> None:
        """Make these the pool; none at all is one direct way.

        Health of a name that stays is kept, unless its proxy changed: another proxy has another. What still runs
        through one that goes is counted until it ends.
        """
        listed = {way.name: way for way in ways or (DIRECT,)}
        for egress in self._egresses.values():
            egress.listed = egress.way.name in listed
        for name, way in listed.items():
            egress = self._egresses.setdefault(name, _Egress(way))
            if egress.way.proxy != way.proxy:
                egress.forget()
            egress.way = way
        self._egresses = {
            name: egress
            for name, egress in self._egresses.items()
            if egress.listed or egress.running
        }
        self._active = tuple(
            egress
            for egress in self._egresses.values()
            if egress.listed and not egress.way.draining
        )
        self._only = self._active[0] if len(self._active) == 1 else None

    def choose(
        self,
        now_s: float,
        provider: str,
        allowed: Sequence[str],
        session: bytes,
        exclude: Collection[str] = (),
    ) -> WayOut | None:
        """The way that a request to `provider` takes, counted as running until `release`.

        `allowed` empty means the whole pool. A session keeps its way while that is healthy, and only the sessions of a
        lost way move (rendezvous hashing). None when every way is draining, not allowed or in `exclude`.
        """
        egress = self._only
        if egress is not None:
            if (allowed and egress.way.name not in allowed) or egress.way.name in exclude:
                return None
        else:
            egress = self._best(now_s, provider, allowed, session, exclude)
            if egress is None:
                return None
        egress.running += 1
        return egress.way

    def release(self, name: str) -> None:
        """A request that was given the way `name` is over."""
        egress = self._egresses.get(name)
        if egress is None or not egress.running:
            return
        egress.running -= 1
        if not egress.running and not egress.listed:
            del self._egresses[name]

    def report(self, now_s: float, way: WayOut, provider: str, what: EgressEvent) -> None:
        """What became of a request; of a proxy that was replaced meanwhile it says nothing any more."""
        egress = self._egresses.get(way.name)
        if egress is None or egress.way.proxy != way.proxy:
            return
        pair = egress.pair(provider, now_s)
        if what is EgressEvent.OK:
            pair.served += 1
            pair.reached_at_s = now_s
            if pair.outage is not None and pair.outage.kind == "blocked":
                pair.heal(now_s)
            return
        pair.failed += 1
        self._blame(now_s, egress, provider, what)

    def due_probes(self, now_s: float) -> list[tuple[WayOut, str]]:
        """Which egresses to try now, and for which provider. Each is due again after its pause, answered or not."""
        due: list[tuple[WayOut, str]] = []
        for egress in self._egresses.values():
            if not egress.listed:
                continue
            probed = (
                {egress.dead_for: egress.dead}
                if egress.dead is not None
                else {
                    provider: pair.outage
                    for provider, pair in egress.pairs.items()
                    if pair.outage is not None and pair.outage.kind == "unreachable"
                }
            )
            for provider, outage in probed.items():
                if outage.again_at_s > now_s:
                    continue
                outage.pause_s = min(outage.pause_s * 2, PROBE_PAUSE_S_MAX)
                outage.again_at_s = now_s + outage.pause_s
                due.append((egress.way, provider))
        return due

    def probed(self, now_s: float, way: WayOut, provider: str, what: EgressEvent) -> None:
        """What a probe found: `OK` re-admits, `UNREACHABLE` still shows that the egress itself lives."""
        egress = self._egresses.get(way.name)
        if egress is None or egress.way.proxy != way.proxy:
            return
        if what is not EgressEvent.DEAD and egress.dead is not None:
            egress.dead = None
            for pair in egress.pairs.values():
                pair.healthy_since_s = now_s
        pair = egress.pair(provider, now_s)
        if what is EgressEvent.OK:
            pair.reached_at_s = now_s
            if pair.outage is not None and pair.outage.kind == "unreachable":
                pair.heal(now_s)
        else:
            self._blame(now_s, egress, provider, what)

    def status(self, now_s: float) -> list[EgressStatus]:
        """Every egress of the pool, by name; never with credentials."""
        return [
            _status_of(egress, now_s)
            for _, egress in sorted(self._egresses.items())
            if egress.listed
        ]

    def _best(
        self,
        now_s: float,
        provider: str,
        allowed: Sequence[str],
        session: bytes,
        exclude: Collection[str],
    ) -> _Egress | None:
        open_to_it = [
            egress
            for egress in self._active
            if (not allowed or egress.way.name in allowed) and egress.way.name not in exclude
        ]
        if len(open_to_it) <= 1:
            return open_to_it[0] if open_to_it else None
        healthy = [egress for egress in open_to_it if egress.serves(provider, now_s)]
        if not healthy:
            return min(open_to_it, key=lambda egress: egress.failed_at_s(provider))
        chosen = max(healthy, key=lambda egress: _rank(session, egress.way.name))
        pair = chosen.pairs.get(provider)
        if pair is not None and pair.outage is not None:
            pair.outage.again_at_s = now_s + BLOCKED_S  # one tries; the others wait for its word
        return chosen

    def _blame(self, now_s: float, egress: _Egress, provider: str, what: EgressEvent) -> None:
        if what is EgressEvent.DEAD:
            egress.dead_for = provider
            if egress.dead is None:
                egress.dead = _Outage("dead", now_s, PROBE_PAUSE_S)
            egress.dead.failed_at_s = now_s
        elif what is EgressEvent.BLOCKED:
            egress.pair(provider, now_s).open("blocked", now_s, BLOCKED_S)
        elif self._others_reach(now_s, egress, provider):
            egress.pair(provider, now_s).open("unreachable", now_s, PROBE_PAUSE_S)

    def _others_reach(self, now_s: float, egress: _Egress, provider: str) -> bool:
        return any(
            other is not egress
            and (pair := other.pairs.get(provider)) is not None
            and now_s - pair.reached_at_s <= REACHED_WITHIN_S
            for other in self._egresses.values()
        )


def kind_of(proxy: Proxy | None) -> Literal["direct", "http", "socks5"]:
    """How traffic leaves."""
    return "direct" if proxy is None else proxy.kind


def address_of(proxy: Proxy | None) -> str:
    """Host and port, without credentials; empty for a direct way."""
    return "" if proxy is None else f"{proxy.host}:{proxy.port}"


def _rank(session: bytes, name: str) -> bytes:
    return hashlib.blake2b(session + name.encode(), digest_size=8).digest()


def _status_of(egress: _Egress, now_s: float) -> EgressStatus:
    way, pairs = egress.way, egress.pairs
    return EgressStatus(
        name=way.name,
        kind=kind_of(way.proxy),
        address=address_of(way.proxy),
        state=("draining" if egress.running else "drained") if way.draining else "active",
        health="healthy" if egress.dead is None else "dead",
        running=egress.running,
        served=sum(pair.served for pair in pairs.values()),
        failed=sum(pair.failed for pair in pairs.values()),
        providers=[
            _health_of(provider, pair, egress.dead or pair.outage, now_s)
            for provider, pair in sorted(pairs.items())
        ],
    )


def _health_of(provider: str, pair: _Pair, outage: _Outage | None, now_s: float) -> ProviderHealth:
    return ProviderHealth(
        provider=provider,
        health="healthy" if outage is None else outage.kind,
        since_s=round(now_s - (pair.healthy_since_s if outage is None else outage.since_s), 3),
        next_probe_in_s=None if outage is None else round(max(0.0, outage.again_at_s - now_s), 3),
        served=pair.served,
        failed=pair.failed,
    )
