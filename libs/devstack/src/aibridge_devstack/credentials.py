"""Every secret of a development stack: drawn once, then kept in its home."""

import secrets
from pathlib import Path

import msgspec
from msgspec import Struct, field

from aibridge_devstack.private_file import write_private


def _token() -> str:
    """URL-safe, and free of the characters that separate entries in a setting."""
    return secrets.token_hex(24)


def _key() -> str:
    return secrets.token_hex(32)


class Credentials(Struct, frozen=True, kw_only=True):
    """What is missing in an older file is drawn when it is read."""

    postgres_password: str = field(default_factory=_token)
    auth_password: str = field(default_factory=_token)
    billing_password: str = field(default_factory=_token)
    router_password: str = field(default_factory=_token)
    nats_password: str = field(default_factory=_token)
    gateway_token: str = field(default_factory=_token)
    router_token: str = field(default_factory=_token)
    ops_token: str = field(default_factory=_token)
    key_pepper: str = field(default_factory=_key)
    """32 bytes in hex."""
    secrets_key: str = field(default_factory=_key)
    """32 bytes in hex; encrypts the vendors' keys in the database."""
    sandbox_key: str = field(default_factory=_key)
    """Turns the payment sandbox on, and makes the addresses of its pages."""
    admin_password: str = field(default_factory=lambda: secrets.token_urlsafe(15))
    demo_key: str = ""
    """Empty until the auth service has made one."""

    @property
    def service_tokens(self) -> str:
        """Who may call the services."""
        return f"gateway={self.gateway_token},router={self.router_token},ops={self.ops_token}"


def load_credentials(path: Path) -> Credentials:
    """Read them; draw what is not there yet, and keep that."""
    before = path.read_bytes() if path.exists() else b"{}"
    credentials = msgspec.json.decode(before, type=Credentials)
    keep_credentials(path, credentials)
    return credentials


def keep_credentials(path: Path, credentials: Credentials) -> None:
    """Readable by the owner only."""
    write_private(path, msgspec.json.format(msgspec.json.encode(credentials), indent=2))
