"""`count_tokens`: the vendor's own count where it has one, a local estimate otherwise; never charged."""

import msgspec
from msgspec import Struct

from aibridge_common.dialect import Dialect, Endpoint, Surface
from aibridge_common.errors import UpstreamFailed
from aibridge_common.transport import Timers, TransportError
from aibridge_router.catalog.registry import Registry, Target
from aibridge_router.dialects.peek import peek, peek_gemini
from aibridge_router.dialects.splice import rename_model
from aibridge_router.exchange.exchange import Services
from aibridge_router.exchange.inbound import Inbound
from aibridge_router.exchange.refusals import own_words, refusal_to_pass_on
from aibridge_router.upstream.egress import WayOut
from aibridge_router.upstream.headers import upstream_headers

ANSWER_BYTES_MAX = 2**20
BYTES_PER_TOKEN = 3.5
"""Coding prompts run a little denser than prose; an estimate should rather be high."""

_TIMERS = Timers(connect_s=2.0, headers_s=5.0, idle_s=5.0)


class VendorRefused(UpstreamFailed):
    """The vendor's own refusal, to be passed on as it is."""

    def __init__(self, status: int, body: bytes) -> None:
        super().__init__(f"status {status}")
        self.upstream_status = status
        self.body = body


class _Counted(Struct, frozen=True):
    input_tokens: int


class CountTokens:
    """Answers in milliseconds: Claude Code sends dozens of these at once."""

    def __init__(self, services: Services) -> None:
        self._services = services

    async def answer(
        self, endpoint: Endpoint, registry: Registry, inbound: Inbound, body: bytes
    ) -> bytes:
        """The count as a JSON document in the caller's dialect."""
        if endpoint.surface is Surface.GEMINI:
            peek_gemini(body, endpoint.model or "", stream=False)
            registry.find(endpoint.model or "")
            return msgspec.json.encode({"totalTokens": _estimate(body)})
        head = peek(Dialect.ANTHROPIC_MESSAGES, body)
        if registry.provider_of(registry.find(head.model)).count_tokens_path is None:
            return msgspec.json.encode({"input_tokens": _estimate(body)})
        target = registry.target(head.model)
        path = target.provider.count_tokens_path
        if target.upstream_model != head.model:
            body = rename_model(body, target.upstream_model)
        way_out = self._way_out(target, inbound)
        if path is None or way_out is None:
            return msgspec.json.encode({"input_tokens": _estimate(body)})
        try:
            return await self._ask_vendor(target, path, way_out, inbound, body)
        finally:
            self._services.egress.release(way_out.name)

    def _way_out(self, target: Target, inbound: Inbound) -> WayOut | None:
        """How the vendor is reached; None where it is not well or cannot be, and an estimate must do."""
        services, provider = self._services, target.provider
        now_s = services.clock.monotonic_s()
        way = (provider.name, target.keys[0].id, target.model.id)
        if services.health.why_not(now_s, way) is not None:
            return None
        return services.egress.choose(
            now_s, provider.name, provider.egresses, inbound.account_id.bytes
        )

    async def _ask_vendor(
        self, target: Target, path: str, way_out: WayOut, inbound: Inbound, body: bytes
    ) -> bytes:
        pool, prefix = self._services.pools.at(target.provider.base_url, way_out)
        key = target.keys[0].secret.reveal()
        headers = upstream_headers(
            inbound.headers, target.provider, key, inbound.public_id, bearer=False
        )
        try:
            response = await pool.request(b"POST", (prefix + path).encode(), headers, body, _TIMERS)
            answer = await response.read(ANSWER_BYTES_MAX, _TIMERS.idle_s)
        except TransportError:
            return msgspec.json.encode({"input_tokens": _estimate(body)})
        if response.status >= 400:
            refusal = refusal_to_pass_on(response.status, answer, key)
            if refusal is None:
                raise own_words(target.provider.title, response.status, None)
            raise VendorRefused(response.status, refusal)
        try:
            msgspec.json.decode(answer, type=_Counted)
        except msgspec.DecodeError:
            raise own_words(target.provider.title, 200, None) from None
        return answer


def _estimate(body: bytes) -> int:
    return max(1, int(len(body) / BYTES_PER_TOKEN))
