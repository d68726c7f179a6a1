"""From a key to the account behind it: the cache, and auth where the cache does not know."""

import asyncio

import msgspec

from aibridge_common.bus.nats import Bus
from aibridge_common.clients.auth import AuthClient
from aibridge_common.clock import Clock
from aibridge_common.contracts.auth import KeyFacts, KeyVerdict
from aibridge_common.errors import Unauthenticated, Unavailable
from aibridge_common.events.keys import (
    CHANGED_SUBJECT,
    HEARTBEAT_SUBJECT,
    AuthHeartbeat,
    KeysChanged,
)
from aibridge_gateway.edge.key_cache import KeyCache

KEY_CHARACTERS_MAX = 256
ASKED_TIMES_MAX = 3
"""A key that changes again each time while auth answers is left to the caller's next try."""

_decode_changed = msgspec.json.Decoder(KeysChanged).decode
_decode_heartbeat = msgspec.json.Decoder(AuthHeartbeat).decode


class Keyring:
    """Verifies keys; many requests with one unknown key cost one question."""

    def __init__(self, auth: AuthClient, clock: Clock) -> None:
        self._auth = auth
        self._clock = clock
        self._cache = KeyCache()
        self._asking: dict[bytes, asyncio.Future[KeyVerdict]] = {}

    async def listen(self, bus: Bus) -> None:
        """Hear of changes from now on."""

        async def on_changed(payload: bytes) -> None:
            event = _decode_changed(payload)
            self._cache.changed(
                self._clock.monotonic_s(), event.sequence, event.account_id, event.key_id
            )

        async def on_heartbeat(payload: bytes) -> None:
            self._cache.heartbeat(self._clock.monotonic_s(), _decode_heartbeat(payload).sequence)

        await bus.subscribe(CHANGED_SUBJECT, on_changed)
        await bus.subscribe(HEARTBEAT_SUBJECT, on_heartbeat)

    async def facts(self, key: str | None) -> KeyFacts:
        """Whose key this is. Raises `Unauthenticated`, or `Unavailable` when auth must be asked and is away."""
        if not key:
            raise Unauthenticated(
                "no API key came with the request: send it as `Authorization: Bearer ab-…` or `x-api-key: ab-…`"
            )
        if not key.startswith("ab-") or len(key) > KEY_CHARACTERS_MAX:
            raise Unauthenticated("this is not an AI-Bridge key: keys start with ab-")
        digest = KeyCache.digest(key)
        now_s = self._clock.monotonic_s()
        verdict = self._cache.get(now_s, digest)
        if verdict is None:
            verdict = await self._ask_once(digest, key)
        elif self._cache.aging(now_s, digest):
            self._question(digest, key)
        if verdict.facts is None:
            raise Unauthenticated(_REASONS.get(verdict.reason, f"the {verdict.reason}"))
        limits = verdict.facts.limits
        # What is believed of a key may outlive it.
        if limits is not None and limits.expires_at and limits.expires_at <= self._clock.now():
            raise Unauthenticated(_REASONS["expired"])
        return verdict.facts

    async def _ask_once(self, digest: bytes, key: str) -> KeyVerdict:
        return await asyncio.shield(self._question(digest, key))

    def _question(self, digest: bytes, key: str) -> asyncio.Future[KeyVerdict]:
        """The one that is on its way, or a new one. Perhaps nobody waits for it."""
        asking = self._asking.get(digest)
        if asking is None:
            asking = asyncio.ensure_future(self._ask(digest, key))
            self._asking[digest] = asking

            def answered(question: asyncio.Future[KeyVerdict]) -> None:
                self._asking.pop(digest, None)
                if not question.cancelled():
                    question.exception()  # seen, also where nobody waits

            asking.add_done_callback(answered)
        return asking

    async def _ask(self, digest: bytes, key: str) -> KeyVerdict:
        for _ in range(ASKED_TIMES_MAX):
            asked_at_s = self._clock.monotonic_s()
            verdict = await self._auth.verify_key(key)
            if self._cache.put(asked_at_s, digest, verdict):
                return verdict
        raise Unavailable("this key is being changed; try again", retry_after_s=1)


_REASONS = {
    "malformed": "this key has a typing mistake: its checksum does not fit",
    "unknown": "this key is not known",
    "revoked": "this key was revoked",
    "expired": "this key has expired",
}
