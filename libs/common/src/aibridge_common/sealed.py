"""Secrets at rest: each row has its own data key, wrapped by the key in the settings (AES-256-GCM twice).

The additional data binds a ciphertext to its table, its row and whatever else the row must not be parted from, so it
cannot be moved to another.
"""

import hashlib
import os
from uuid import UUID

from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.ciphers.aead import AESGCM

from aibridge_common.errors import AIBridgeError
from aibridge_common.settings import Secret

_VERSION = b"\x01"
_KID_BYTES, _NONCE_BYTES, _WRAPPED_BYTES = 8, 12, 48


class CannotUnseal(AIBridgeError):
    """The sealing key is not the one this was sealed with, or the row was tampered with."""

    code, status = "cannot_unseal", 500


class Sealer:
    """Seals and unseals the secrets of one table with one key-encryption key; `setting` is where that comes from."""

    def __init__(
        self,
        key: Secret,
        table: str = "upstream_key",
        setting: str = "AIBRIDGE_ROUTER_SECRETS_KEY",
    ) -> None:
        try:
            raw = bytes.fromhex(key.reveal())
        except ValueError:
            raw = b""
        if len(raw) != 32:
            raise CannotUnseal(f"{setting} must be 32 bytes in hexadecimal")
        self._kek = AESGCM(raw)
        self._table = table.encode()
        self._kid = hashlib.sha256(raw).digest()[:_KID_BYTES]

    def seal(self, secret: str, row_id: UUID, bound_to: str) -> bytes:
        """`secret` for storage in the row `row_id`; `bound_to` is for instance its provider."""
        data_key = AESGCM.generate_key(256)
        bound = self._bound_to(row_id, bound_to)
        outer, inner = os.urandom(_NONCE_BYTES), os.urandom(_NONCE_BYTES)
        wrapped = self._kek.encrypt(outer, data_key, bound)
        return (
            _VERSION
            + self._kid
            + outer
            + wrapped
            + inner
            + AESGCM(data_key).encrypt(inner, secret.encode(), bound)
        )

    def unseal(self, sealed: bytes, row_id: UUID, bound_to: str) -> Secret:
        """The inverse of `seal`. Raises `CannotUnseal`."""
        kid, rest = sealed[1 : 1 + _KID_BYTES], sealed[1 + _KID_BYTES :]
        if sealed[:1] != _VERSION or kid != self._kid:
            raise CannotUnseal(f"what is bound to {bound_to} was sealed with another sealing key")
        outer, rest = rest[:_NONCE_BYTES], rest[_NONCE_BYTES:]
        wrapped, rest = rest[:_WRAPPED_BYTES], rest[_WRAPPED_BYTES:]
        inner, ciphertext = rest[:_NONCE_BYTES], rest[_NONCE_BYTES:]
        bound = self._bound_to(row_id, bound_to)
        try:
            data_key = self._kek.decrypt(outer, wrapped, bound)
            return Secret(AESGCM(data_key).decrypt(inner, ciphertext, bound).decode())
        except (InvalidTag, ValueError):  # cut short, a part is no longer one
            raise CannotUnseal(f"what is bound to {bound_to} does not belong to its row") from None

    def _bound_to(self, row_id: UUID, bound_to: str) -> bytes:
        return self._table + b"|" + row_id.bytes + b"|" + bound_to.encode()
