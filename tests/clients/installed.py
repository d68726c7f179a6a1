"""The real clients as `make clients` installed them."""

import os
from pathlib import Path

VARIABLE = "AIBRIDGE_CLIENTS_DIR"


def folder() -> Path | None:
    """Where they are; None unless the Makefile's target runs."""
    named = os.environ.get(VARIABLE)
    return Path(named) if named else None


def program(name: str) -> Path:
    """A client's executable."""
    where = folder()
    assert where is not None
    return where / "node_modules" / ".bin" / name
