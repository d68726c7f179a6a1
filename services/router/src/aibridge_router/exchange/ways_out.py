"""The ways out that one exchange takes: the pool chooses, what is seen is reported, none is tried twice in vain."""

from aibridge_router.catalog.registry import Target
from aibridge_router.failover.failure import Failure
from aibridge_router.upstream.egress import EgressEvent, EgressPool, WayOut

_EVENTS: dict[Failure, EgressEvent] = {
    Failure.EGRESS: EgressEvent.DEAD,
    Failure.UNREACHABLE: EgressEvent.UNREACHABLE,
    Failure.REGION: EgressEvent.BLOCKED,
}
"""What a failure says about the way out; any other was said by the provider, so the way is well."""


class WaysOut:
    """See the module. `session` keeps a conversation on one way."""

    def __init__(self, pool: EgressPool, session: bytes) -> None:
        self._pool = pool
        self._session = session
        self._tried: dict[str, set[str]] = {}

    def take(self, now_s: float, target: Target) -> WayOut | None:
        """The next way to the target's provider, counted as running until the pool's `release`; None for none."""
        provider = target.provider
        tried = self._tried.get(provider.name, ())
        return self._pool.choose(now_s, provider.name, provider.egresses, self._session, tried)

    def served(self, now_s: float, way_out: WayOut, target: Target) -> None:
        """The provider answered."""
        self._pool.report(now_s, way_out, target.provider.name, EgressEvent.OK)

    def failed(self, now_s: float, way_out: WayOut, target: Target, failure: Failure) -> Failure:
        """Report a failure; returns whose it is to be taken for.

        A provider that cannot be reached by one way is tried by another before it is held to be down.
        """
        provider = target.provider.name
        what = _EVENTS.get(failure, EgressEvent.OK)
        if failure is not Failure.SILENT:
            self._pool.report(now_s, way_out, provider, what)
        if what is EgressEvent.OK:
            return failure
        self._tried.setdefault(provider, set()).add(way_out.name)
        if failure is not Failure.UNREACHABLE:
            return failure
        other = self.take(now_s, target)
        if other is None:
            return failure
        self._pool.release(other.name)
        return Failure.EGRESS
