"""One connection pool per origin and proxy, kept across catalogue changes."""

from collections.abc import Iterable

from aibridge_common.errors import UpstreamFailed
from aibridge_common.proxy import Proxy
from aibridge_common.transport import Origin, Pool
from aibridge_router.upstream.egress import WayOut


class Pools:
    """Finds or opens the pool behind a base URL and a way out."""

    def __init__(self) -> None:
        self._found: dict[tuple[str, Proxy | None], tuple[Pool, str]] = {}
        self._pools: dict[tuple[Origin, Proxy | None], Pool] = {}
        self._retired: list[Pool] = []

    def at(self, base_url: str, way: WayOut) -> tuple[Pool, str]:
        """The pool and the path prefix of a base URL. Raises `UpstreamFailed`."""
        key = (base_url, way.proxy)
        found = self._found.get(key)
        if found is None:
            try:
                origin, prefix = Origin.parse(base_url)
            except ValueError as error:
                raise UpstreamFailed(f"the base URL is not usable: {error}") from None
            pool = self._pools.get((origin, way.proxy))
            if pool is None:
                pool = self._pools[origin, way.proxy] = Pool(origin, proxy=way.proxy)
            found = self._found[key] = (pool, prefix)
        return found

    def keep_only(self, ways: Iterable[WayOut]) -> None:
        """Let go of every other proxy's connections, each when its exchange is over; direct ones stay."""
        kept = {way.proxy for way in ways} | {None}
        gone = [key for key in self._pools if key[1] not in kept]
        for key in gone:
            pool = self._pools.pop(key)
            pool.retire()
            self._retired.append(pool)
        self._found = {key: found for key, found in self._found.items() if key[1] in kept}
        self._retired = [pool for pool in self._retired if pool.open_connections]

    def close(self) -> None:
        """Close every connection."""
        for pool in [*self._pools.values(), *self._retired]:
            pool.close()
