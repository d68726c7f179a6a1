"""Migrating and seeding take seconds; this remembers what they were done for."""

import hashlib
from collections.abc import Iterable
from importlib.util import find_spec
from pathlib import Path

import msgspec
from msgspec import Struct

from aibridge_devstack.private_file import write_private
from aibridge_devstack.service import Job

_PACKAGES = ("aibridge_common", "aibridge_auth", "aibridge_billing", "aibridge_router")


class Prepared(Struct, frozen=True, kw_only=True):
    """The outcome of the last migrations and seeds."""

    fingerprint: str
    demo_account_id: str
    demo_balance_tokens: str
    """After seeding; what was used since is not in it."""


def fingerprint(jobs: Iterable[Job], files: Iterable[Path], variables: Iterable[str]) -> str:
    """Changes with the services' code, the given files, and what the jobs are told.

    `variables` are the environment variables that count beside the services' settings.
    """
    seen = hashlib.sha256()
    known = frozenset(variables)
    for job in jobs:
        told = {
            name: value
            for name, value in job.env.items()
            if name in known or name.startswith("AIBRIDGE_")
        }
        seen.update(msgspec.json.encode((job.argv, told), order="sorted"))
    for file in (*files, *_code()):
        found = file.stat()
        seen.update(f"{file}:{found.st_size}:{found.st_mtime_ns};".encode())
    return seen.hexdigest()


def read_prepared(path: Path) -> Prepared | None:
    """None before the first time."""
    try:
        return msgspec.json.decode(path.read_bytes(), type=Prepared)
    except FileNotFoundError:
        return None


def keep_prepared(path: Path, prepared: Prepared) -> None:
    """When everything was done."""
    write_private(path, msgspec.json.encode(prepared))


def _code() -> list[Path]:
    roots = [
        Path(root)
        for package in _PACKAGES
        if (spec := find_spec(package)) is not None
        for root in spec.submodule_search_locations or []
    ]
    return [
        file
        for root in roots
        for file in sorted(root.rglob("*"))
        if file.suffix != ".pyc" and file.is_file()
    ]
