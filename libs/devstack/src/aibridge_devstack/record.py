"""`dev.json`: what a program outside needs to use the running stack."""

from pathlib import Path

import msgspec
from msgspec import Struct

from aibridge_devstack.private_file import write_private


class DevRecord(Struct, frozen=True, kw_only=True):
    """The stable outside interface. Fields may be added, never renamed."""

    base_url: str
    admin_email: str
    admin_password: str
    demo_email: str
    demo_account_id: str
    demo_key: str
    auth_url: str
    billing_url: str
    router_url: str
    """May be `unix:/path`."""
    nats_url: str
    database_url: str
    """The superuser's, for the database of the stack."""
    sandbox_url: str
    service_token: str
    vendors: dict[str, str]
    """Name to `real`, `sandbox`, or `nobody` (no key, and the sandbox cannot play it)."""
    pids: dict[str, int]
    """Also `supervisor`. Kept current when a child is restarted."""


def write_record(path: Path, record: DevRecord) -> None:
    """In one step."""
    write_private(path, msgspec.json.format(msgspec.json.encode(record), indent=2))


def read_record(path: Path) -> DevRecord | None:
    """None while the stack is not ready."""
    try:
        return msgspec.json.decode(path.read_bytes(), type=DevRecord)
    except FileNotFoundError:
        return None
