"""Answers with a key in them are kept sealed: the table alone gives no key away."""

import hashlib
from uuid import UUID

from aibridge_common.db.idempotency import IdempotentCall, Vault
from aibridge_common.sealed import Sealer


class SealedAnswers(Vault):
    """Each is bound to its call, so that it opens for no other."""

    def __init__(self, sealer: Sealer) -> None:
        self._sealer = sealer

    def close(self, answer: bytes, call: IdempotentCall) -> bytes:
        """For the table."""
        return self._sealer.seal(answer.decode(), _row(call), call.operation)

    def open(self, kept: bytes, call: IdempotentCall) -> bytes:
        """From the table."""
        return self._sealer.unseal(kept, _row(call), call.operation).reveal().encode()


def _row(call: IdempotentCall) -> UUID:
    return UUID(bytes=hashlib.sha256(f"{call.caller}\0{call.key}".encode()).digest()[:16])
