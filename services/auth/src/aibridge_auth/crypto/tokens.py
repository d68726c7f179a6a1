"""Opaque tokens: 256 random bits that whoever holds them shows; only their digest is kept."""

import hashlib
import secrets


def new_token() -> str:
    """43 URL-safe characters."""
    return secrets.token_urlsafe(32)


def digest(token: str) -> bytes:
    """What a token is looked up by. 256 random bits need no slow hash."""
    return hashlib.sha256(token.encode()).digest()
