"""One connection pool per origin, kept across catalogue changes."""

from aibridge_common.errors import UpstreamFailed
from aibridge_common.transport import Origin, Pool


class Pools:
    """Finds or opens the pool behind a base URL."""

    def __init__(self) -> None:
        self._pools: dict[str, tuple[Pool, str]] = {}

    def at(self, base_url: str) -> tuple[Pool, str]:
        """The pool and the path prefix of a base URL."""
        found = self._pools.get(base_url)
        if found is None:
            try:
                origin, prefix = Origin.parse(base_url)
            except ValueError as error:
                raise UpstreamFailed(f"the base URL is not usable: {error}") from None
            found = self._pools[base_url] = (Pool(origin), prefix)
        return found

    def close(self) -> None:
        """Close every connection."""
        for pool, _ in self._pools.values():
            pool.close()
