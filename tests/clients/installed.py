"""The real clients as `make clients` installed them."""

import os
from pathlib import Path

import msgspec

VARIABLE = "AIBRIDGE_CLIENTS_DIR"
PINNED = Path(__file__).with_name("package.json")


def folder() -> Path | None:
    """Where they are; None unless the Makefile's target runs."""
    named = os.environ.get(VARIABLE)
    return Path(named) if named else None


def program(name: str) -> Path:
    """A client's executable."""
    where = folder()
    assert where is not None
    return where / "node_modules" / ".bin" / name


def version(package: str) -> str:
    """The version that is pinned."""
    pinned: dict[str, dict[str, str]] = msgspec.json.decode(PINNED.read_bytes())
    return pinned["dependencies"][package]
