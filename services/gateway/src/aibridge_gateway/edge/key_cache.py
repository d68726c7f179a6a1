"""Verified keys, so that a request costs no call to auth. Pure: it takes the time and what it is told.

A verdict is believed for 30 s, or 5 s while auth's heartbeat is missing. A live key in use is asked for again after
half of that, while it still opens: no request waits for it, and an auth that is away for some seconds is not noticed.
A change, be it that a key was revoked or that its options are others, drops what was said before, and is remembered a
while: an answer that was already on its way is not believed.
"""

import hashlib
from uuid import UUID

from msgspec import Struct

from aibridge_common.contracts.auth import KeyFacts, KeyVerdict

LIVE_TTL_S = 30.0
REFUSED_TTL_S = 5.0
CUT_OFF_TTL_S = 5.0
HEARTBEAT_MISSED_S = 12.0
ENTRIES_MAX = 100_000
CHANGED_REMEMBERED_S = 60.0
ASK_AGAIN_EVERY_S = 1.0


class Entry(Struct, kw_only=True):
    """A verdict and when it was asked for."""

    verdict: KeyVerdict
    asked_at_s: float
    tried_at_s: float = float("-inf")


class KeyCache:
    """Verdicts by the digest of the whole key."""

    def __init__(self) -> None:
        self._entries: dict[bytes, Entry] = {}
        self._by_key_id: dict[UUID, bytes] = {}
        self._changed: dict[UUID, float] = {}
        self._heartbeat_at_s = float("-inf")
        self._sequence: int | None = None

    @staticmethod
    def digest(key: str) -> bytes:
        """What a key is looked up by."""
        return hashlib.sha256(key.encode()).digest()

    def get(self, now_s: float, digest: bytes) -> KeyVerdict | None:
        """The verdict if one may still be believed."""
        entry = self._entries.get(digest)
        if entry is None:
            return None
        if now_s - entry.asked_at_s > self._ttl_s(now_s, entry.verdict):
            self._forget(digest)
            return None
        return entry.verdict

    def aging(self, now_s: float, digest: bytes) -> bool:
        """Whether a live key should be asked for again now, before it is no longer believed; at most once a second."""
        entry = self._entries.get(digest)
        if entry is None or entry.verdict.facts is None:
            return False
        half_s = self._ttl_s(now_s, entry.verdict) / 2
        if now_s - entry.asked_at_s < half_s or now_s - entry.tried_at_s < ASK_AGAIN_EVERY_S:
            return False
        entry.tried_at_s = now_s
        return True

    def put(self, asked_at_s: float, digest: bytes, verdict: KeyVerdict) -> bool:
        """Note a verdict that was asked for at `asked_at_s`. False when a change overtook it: ask again."""
        facts = verdict.facts
        if facts is not None and self._overtaken(asked_at_s, facts):
            return False
        while len(self._entries) >= ENTRIES_MAX:
            self._forget(next(iter(self._entries)))
        self._entries[digest] = Entry(verdict=verdict, asked_at_s=asked_at_s)
        if facts is not None:
            self._by_key_id[facts.key_id] = digest
        return True

    def changed(self, now_s: float, sequence: int, account_id: UUID, key_id: UUID | None) -> None:
        """Auth says that what it said of a key, or of every key of an account, is no longer true."""
        if self._sequence is not None and sequence > self._sequence + 1:
            self.clear()  # another change was missed: believe nothing
        self._sequence = max(self._sequence or 0, sequence)
        self._changed = {
            known: at for known, at in self._changed.items() if at + CHANGED_REMEMBERED_S > now_s
        }
        self._changed[key_id or account_id] = now_s
        if key_id is not None:
            digest = self._by_key_id.get(key_id)
            if digest is not None:
                self._forget(digest)
            return
        for digest, entry in list(self._entries.items()):
            if entry.verdict.facts is not None and entry.verdict.facts.account_id == account_id:
                self._forget(digest)

    def heartbeat(self, now_s: float, sequence: int) -> None:
        """Auth lives and its newest change is `sequence`; a gap means that one was missed."""
        self._heartbeat_at_s = now_s
        if self._sequence is not None and sequence > self._sequence:
            self.clear()
        self._sequence = max(self._sequence or 0, sequence)

    def clear(self) -> None:
        """Believe nothing that was said before."""
        self._entries.clear()
        self._by_key_id.clear()

    def __len__(self) -> int:
        return len(self._entries)

    def _ttl_s(self, now_s: float, verdict: KeyVerdict) -> float:
        if verdict.facts is None:
            return REFUSED_TTL_S
        cut_off = now_s - self._heartbeat_at_s > HEARTBEAT_MISSED_S
        return CUT_OFF_TTL_S if cut_off else LIVE_TTL_S

    def _overtaken(self, asked_at_s: float, facts: KeyFacts) -> bool:
        return any(
            self._changed.get(name, float("-inf")) >= asked_at_s
            for name in (facts.key_id, facts.account_id)
        )

    def _forget(self, digest: bytes) -> None:
        entry = self._entries.pop(digest, None)
        if entry is not None and entry.verdict.facts is not None:
            self._by_key_id.pop(entry.verdict.facts.key_id, None)
