"""Whether a provider takes a key: its list of models is asked for, which costs nothing."""

from aibridge_common.catalog import Provider
from aibridge_common.dialect import Dialect
from aibridge_common.errors import InvalidRequest, Unavailable
from aibridge_common.settings import Secret
from aibridge_common.transport import Timers, TransportError
from aibridge_router.upstream.egress import WayOut
from aibridge_router.upstream.headers import upstream_headers
from aibridge_router.upstream.pools import Pools

ANSWER_BYTES_MAX = 2**20
_TIMERS = Timers(connect_s=3.0, headers_s=10.0, idle_s=5.0)
_LISTS: dict[Dialect, tuple[str, str]] = {Dialect.ANTHROPIC_MESSAGES: ("/messages", "/models")}
"""Where a dialect's providers list their models: this end of its path is replaced."""

_REFUSALS = frozenset({401, 402, 403})


class KeyRefused(InvalidRequest):
    """The provider does not take this key."""

    code, status = "key_refused", 422


def checks(provider: Provider) -> bool:
    """Whether keys of this provider can be checked, and so brought by customers."""
    return any(dialect in _LISTS for dialect in provider.paths)


async def check_key(pools: Pools, way_out: WayOut, provider: Provider, key: Secret) -> None:
    """Ask the provider. Raises `KeyRefused`, or `Unavailable` when it cannot be asked."""
    dialect = next(dialect for dialect in provider.paths if dialect in _LISTS)
    end, listing = _LISTS[dialect]
    title = provider.title or provider.name
    pool, prefix = pools.at(provider.base_url, way_out)
    path = prefix + provider.paths[dialect].removesuffix(end) + listing
    headers = upstream_headers([], provider, key.reveal(), "key-check", bearer=False)
    try:
        response = await pool.request(b"GET", path.encode(), headers, b"", _TIMERS)
        await response.read(ANSWER_BYTES_MAX, _TIMERS.idle_s)
    except TransportError as error:
        raise Unavailable(f"{title} cannot be asked about the key now; try again") from error
    if response.status in _REFUSALS:
        raise KeyRefused(f"{title} does not accept this key", param="key")
    if response.status >= 300:
        raise Unavailable(f"{title} cannot be asked about the key now; try again")
