"""Opaque state that a client must bring back unchanged: thinking signatures and their kin."""

import base64
import binascii
import hashlib
import hmac

_SECRET = b"aibridge-sandbox-seal-v1"
_NONCE_BYTES = 8
_MAC_BYTES = 20
_URL_SAFE = str.maketrans("-_", "+/")
"""Clients may bring a signature back in the other base64 alphabet."""


def seal(vendor: str, nonce: str, text: str = "") -> str:
    """A signature over `text` that only this vendor's stand-in accepts.

    It survives a restart: the secret guards nothing, it only tells native state from foreign.
    """
    salt = hashlib.blake2b(nonce.encode(), digest_size=_NONCE_BYTES).digest()
    return base64.b64encode(salt + _mac(vendor, salt, text)).decode()


def is_sealed(vendor: str, signature: str, text: str = "") -> bool:
    """Whether this vendor sealed exactly this text."""
    try:
        raw = base64.b64decode(signature.translate(_URL_SAFE), validate=True)
    except (binascii.Error, ValueError):
        return False
    salt, mac = raw[:_NONCE_BYTES], raw[_NONCE_BYTES:]
    return hmac.compare_digest(mac, _mac(vendor, salt, text))


def _mac(vendor: str, salt: bytes, text: str) -> bytes:
    message = vendor.encode() + b"\0" + salt + text.encode()
    return hmac.new(_SECRET, message, hashlib.sha256).digest()[:_MAC_BYTES]
