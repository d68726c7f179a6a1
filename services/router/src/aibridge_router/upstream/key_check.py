"""Whether a provider takes a key: its list of models is asked for, which costs nothing."""

from aibridge_common.catalog import Provider
from aibridge_common.clock import Clock
from aibridge_common.dialect import Dialect
from aibridge_common.errors import InvalidRequest, Unavailable
from aibridge_common.settings import Secret
from aibridge_common.transport import Timers, TransportError
from aibridge_router.upstream.egress import EgressPool, WayOut
from aibridge_router.upstream.headers import upstream_headers
from aibridge_router.upstream.pools import Pools

ANSWER_BYTES_MAX = 2**20
_TIMERS = Timers(connect_s=3.0, headers_s=10.0, idle_s=5.0)
_LISTS: dict[Dialect, tuple[str, str]] = {
    Dialect.ANTHROPIC_MESSAGES: ("/messages", "/models"),
    Dialect.OPENAI_CHAT: ("/chat/completions", "/models"),
    Dialect.OPENAI_RESPONSES: ("/responses", "/models"),
    Dialect.GEMINI_GENERATE: ("/{model}:{verb}", ""),
}
"""Where a dialect's providers list their models: this end of its path is replaced."""

_REFUSALS = frozenset({400, 401, 402, 403})
"""400 is Google's word for a wrong key; nothing else can be wrong with such a question."""


class KeyRefused(InvalidRequest):
    """The provider does not take this key."""

    code, status = "key_refused", 422


def checks(provider: Provider) -> bool:
    """Whether a key of this provider can be checked."""
    return _listing(provider) is not None


class KeyChecker:
    """Asks providers over the ways out that requests take."""

    def __init__(self, pools: Pools, egress: EgressPool, clock: Clock) -> None:
        self._pools = pools
        self._egress = egress
        self._clock = clock

    async def check(self, provider: Provider, key: Secret) -> None:
        """Ask the provider. Raises `KeyRefused`, or `Unavailable` when it cannot be asked."""
        now_s = self._clock.monotonic_s()
        way_out = self._egress.choose(now_s, provider.name, provider.egresses, b"key-check")
        if way_out is None:
            raise Unavailable("no way out works now; try again", retry_after_s=5)
        try:
            await _check(self._pools, way_out, provider, key)
        finally:
            self._egress.release(way_out.name)


async def _check(pools: Pools, way_out: WayOut, provider: Provider, key: Secret) -> None:
    listing = _listing(provider)
    assert listing is not None, "ask `checks` first"
    title = provider.title or provider.name
    pool, prefix = pools.at(provider.base_url, way_out)
    path = prefix + listing
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


def _listing(provider: Provider) -> str | None:
    """The path of its list of models."""
    for dialect, path in provider.paths.items():
        end, listing = _LISTS[dialect]
        if path.endswith(end):
            return path.removesuffix(end) + listing
    return None
