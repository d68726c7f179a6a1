"""Where everything of one stack lives on disk."""

import hashlib
import os
import stat
import tempfile
from collections.abc import Mapping
from pathlib import Path

from msgspec import Struct

from aibridge_devstack.failure import StartFailed

_SOCKET_PATH_BYTES_MAX = 100
"""The systems allow 104 (macOS) or 108 (Linux) for the path of a Unix socket."""


class Home(Struct, frozen=True, kw_only=True):
    """The data folder. One stack at a time may use it."""

    root: Path

    @staticmethod
    def of(environ: Mapping[str, str]) -> "Home":
        """`AIBRIDGE_HOME`, else `.aibridge` at the top of the checkout we are in."""
        if given := environ.get("AIBRIDGE_HOME"):
            return Home(root=Path(given).expanduser().absolute())
        here = Path.cwd()
        top = next((f for f in (here, *here.parents) if (f / ".git").exists()), here)
        return Home(root=top / ".aibridge")

    @property
    def postgres(self) -> Path:
        """The cluster."""
        return self.root / "postgres"

    @property
    def nats(self) -> Path:
        """Configuration and streams."""
        return self.root / "nats"

    @property
    def spool(self) -> Path:
        """Usage that billing has not settled yet."""
        return self.root / "spool"

    @property
    def record(self) -> Path:
        """There while, and only while, everything answers."""
        return self.root / "dev.json"

    @property
    def credentials(self) -> Path:
        """Made once, kept."""
        return self.root / "secrets.json"

    @property
    def sandbox_log(self) -> Path:
        """What the stand-in vendors really did."""
        return self.root / "sandbox.jsonl"

    @property
    def catalog_with_llm(self) -> Path:
        """The catalogue as `make demo` seeds it."""
        return self.root / "catalog-with-llm.toml"

    def create(self) -> None:
        """Make the folder, private to its owner."""
        try:
            self.root.mkdir(mode=0o700, parents=True, exist_ok=True)
        except OSError as error:
            raise StartFailed(f"AIBRIDGE_HOME={self.root} cannot be used: {error}") from error

    def socket(self, name: str) -> Path:
        """A path short enough for a Unix socket, in a folder only its owner can enter."""
        wanted = self.root / "run" / f"{name}.sock"
        if len(os.fsencode(wanted)) > _SOCKET_PATH_BYTES_MAX:
            digest = hashlib.sha256(os.fsencode(self.root)).hexdigest()[:12]
            wanted = Path(tempfile.gettempdir()) / f"aib-{digest}" / f"{name}.sock"
        wanted.parent.mkdir(mode=0o700, exist_ok=True)
        found = wanted.parent.lstat()
        if found.st_uid != os.geteuid() or stat.S_IMODE(found.st_mode) & 0o077:
            raise StartFailed(f"{wanted.parent} is not a private folder of ours; remove it.")
        wanted.unlink(missing_ok=True)
        return wanted
