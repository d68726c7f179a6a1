"""Requests that come again: by their idempotency key, or having made providers fail. Pure, in this router's memory.

Idempotency keys are the customer's promise that a second request is the same one. While the first runs the second is
refused; its whole answer is given again for 10 minutes and not charged again. Streams are refused while they run and
served anew afterwards. Another router does not know: a key is a help against a client's own retries, not a ledger.
"""

import hashlib
from collections import OrderedDict
from uuid import UUID

from msgspec import Struct

from aibridge_common.errors import Conflict, InvalidRequest

REMEMBERED_S = 600.0
ANSWERS_BYTES_MAX = 64 * 2**20
KEY_BYTES_MAX = 255
POISON_S = 60.0

RepeatId = tuple[UUID, bytes]
"""Account and idempotency key."""


class Answer(Struct, frozen=True, kw_only=True):
    """A whole answer as the client got it."""

    status: int
    headers: list[tuple[bytes, bytes]]
    body: bytes


class _Seen(Struct):
    fingerprint: bytes
    until_s: float = float("inf")
    answer: Answer | None = None


class Mismatch(InvalidRequest):
    """The idempotency key was used for another request."""

    code, status = "idempotency_mismatch", 422


def fingerprint(path: str, body: bytes) -> bytes:
    """What tells one request from another."""
    return hashlib.blake2b(path.encode() + b"\0" + body, digest_size=16).digest()


class Repeats:
    """See the module."""

    def __init__(self) -> None:
        self._seen: OrderedDict[RepeatId, _Seen] = OrderedDict()
        self._answers_bytes = 0
        self._poison: dict[tuple[UUID, bytes], float] = {}

    def begin(self, now_s: float, repeat: RepeatId, print_: bytes) -> Answer | None:
        """The answer that was given before; None when this request is to be served, which `end` must follow.

        Raises `Conflict` while the first still runs, `Mismatch` for another request, `InvalidRequest` for a key that
        is none.
        """
        if not 0 < len(repeat[1]) <= KEY_BYTES_MAX:
            raise InvalidRequest(
                f"idempotency-key has 1 to {KEY_BYTES_MAX} bytes", param="idempotency-key"
            )
        self._forget(now_s)
        seen = self._seen.get(repeat)
        if seen is None:
            self._seen[repeat] = _Seen(print_)
            return None
        if seen.fingerprint != print_:
            raise Mismatch(
                "this idempotency key was used for another request", param="idempotency-key"
            )
        if seen.answer is None:
            raise Conflict("the request with this idempotency key still runs", retry_after_s=1)
        return seen.answer

    def end(self, now_s: float, repeat: RepeatId, answer: Answer | None) -> None:
        """The request is over; None lets it be served anew."""
        seen = self._seen.pop(repeat)
        if answer is None:
            return
        seen.answer, seen.until_s = answer, now_s + REMEMBERED_S
        self._seen[repeat] = seen  # at the end: the oldest answer is the first
        self._answers_bytes += len(answer.body)
        self._forget(now_s)

    def poison(self, now_s: float, account_id: UUID, print_: bytes) -> None:
        """The request made two providers fail that serve others: it is not let through again for a while."""
        self._poison[account_id, print_] = now_s + POISON_S

    def refuse_poison(self, now_s: float, account_id: UUID, path: str, body: bytes) -> None:
        """Raise `InvalidRequest` for a request that is known to be one. Costs nothing while none is known."""
        if not self._poison:
            return
        self._poison = {which: at for which, at in self._poison.items() if at > now_s}
        if (account_id, fingerprint(path, body)) in self._poison:
            raise InvalidRequest(
                "two providers failed on exactly this request a moment ago; change it, or wait a minute"
            )

    def _forget(self, now_s: float) -> None:
        for repeat, seen in list(self._seen.items()):
            if seen.answer is None:
                continue
            if seen.until_s > now_s and self._answers_bytes <= ANSWERS_BYTES_MAX:
                break
            del self._seen[repeat]
            self._answers_bytes -= len(seen.answer.body)
