"""Keys are stored as HMAC-SHA256 under a pepper that is not in the database: a stolen table names no key."""

import hashlib
import hmac

from aibridge_common.errors import AIBridgeError
from aibridge_common.settings import Secret


class WeakPepper(AIBridgeError):
    """The pepper is not 32 bytes in hexadecimal."""

    code, status = "invalid_settings", 500


_SEALING = b"the key that seals, not a digest of an API key"
"""No API key: those begin with `ab-`."""


class KeyHasher:
    """Turns a whole key into the digest it is looked up by; never a part of it."""

    def __init__(self, pepper: Secret) -> None:
        try:
            self._pepper = bytes.fromhex(pepper.reveal())
        except ValueError:
            raise WeakPepper("AIBRIDGE_AUTH_KEY_PEPPER must be hexadecimal") from None
        if len(self._pepper) < 32:
            raise WeakPepper("AIBRIDGE_AUTH_KEY_PEPPER must be at least 32 bytes")

    def digest(self, key: str) -> bytes:
        """32 bytes that stand for the key."""
        return hmac.digest(self._pepper, key.encode(), hashlib.sha256)

    def sealing_key(self) -> Secret:
        """Another 32 bytes, in hexadecimal, for what auth must be able to read again."""
        return Secret(hmac.digest(self._pepper, _SEALING, hashlib.sha256).hex())
