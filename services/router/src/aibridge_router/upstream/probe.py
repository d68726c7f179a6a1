"""Tries ejected egresses until they work again, on the way that a request would take."""

from collections.abc import Callable, Mapping

import anyio

from aibridge_common.clock import Clock
from aibridge_common.errors import UpstreamFailed
from aibridge_common.telemetry.log import get_logger
from aibridge_common.transport import ConnectFailed, ProxyFailed
from aibridge_router.upstream.egress import EgressEvent, EgressPool, WayOut
from aibridge_router.upstream.pools import Pools

EVERY_S = 1.0
TIMEOUT_S = 3.0
PROBES_MAX = 16
"""At once; a pool that is dead as a whole must not take the machine's sockets."""


class EgressProber:
    """Opens and closes a connection to a provider per due probe; no request is sent.

    `base_urls` gives those of the providers by name. An egress whose provider is no longer there is tried with another.
    """

    def __init__(
        self,
        egress: EgressPool,
        pools: Pools,
        base_urls: Callable[[], Mapping[str, str]],
        clock: Clock,
    ) -> None:
        self._egress = egress
        self._pools = pools
        self._base_urls = base_urls
        self._clock = clock
        self._log = get_logger()

    async def run(self) -> None:
        """For ever."""
        limit = anyio.CapacityLimiter(PROBES_MAX)
        async with anyio.create_task_group() as probes:
            while True:
                for way, provider in self._egress.due_probes(self._clock.monotonic_s()):
                    probes.start_soon(self._probe, way, provider, limit)
                await anyio.sleep(EVERY_S)

    async def _probe(self, way: WayOut, provider: str, limit: anyio.CapacityLimiter) -> None:
        base_urls = self._base_urls()
        base_url = base_urls.get(provider) or next(iter(base_urls.values()), None)
        if base_url is None:
            return
        async with limit:
            found = await self._reach(way, base_url)
        self._egress.probed(self._clock.monotonic_s(), way, provider, found)
        self._log.info("egress.probed", egress=way.name, provider=provider, found=found.value)

    async def _reach(self, way: WayOut, base_url: str) -> EgressEvent:
        try:
            pool, _ = self._pools.at(base_url, way)
            await pool.reach(TIMEOUT_S)
        except ProxyFailed:
            return EgressEvent.DEAD
        except (ConnectFailed, UpstreamFailed):
            return EgressEvent.UNREACHABLE
        return EgressEvent.OK
