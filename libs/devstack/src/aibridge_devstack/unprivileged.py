"""PostgreSQL refuses to run as root: how to start it as nobody without making an account."""

import os
import shutil
import subprocess
import sys
from pathlib import Path

from msgspec import Struct

from aibridge_devstack.failure import StartFailed

_NOBODY = 65534
_USER_NAMESPACE = (
    "unshare",
    "--user",
    f"--map-user={_NOBODY}",
    f"--map-group={_NOBODY}",
    "--",
)
_SETPRIV = ("setpriv", f"--reuid={_NOBODY}", f"--regid={_NOBODY}", "--clear-groups", "--")


class Unprivileged(Struct, frozen=True, kw_only=True):
    """What to put before a command line, and who must own the files it writes."""

    prefix: tuple[str, ...] = ()
    owner: int | None = None
    """A user id the data folder must belong to; None: whoever we are."""

    def own(self, folder: Path) -> None:
        """Give the folder to the user the command runs as, and let that user walk into it."""
        if self.owner is None:
            return
        os.chown(folder, self.owner, self.owner)
        folder.parent.chmod(folder.parent.stat().st_mode | 0o011)


def unprivileged() -> Unprivileged:
    """Nothing unless we are root; then a user namespace, else (in most containers) setpriv."""
    if os.geteuid() != 0:
        return Unprivileged()
    if _works(_USER_NAMESPACE):
        return Unprivileged(prefix=_USER_NAMESPACE)
    if _works(_SETPRIV):
        return Unprivileged(prefix=_SETPRIV, owner=_NOBODY)
    raise StartFailed(
        f"PostgreSQL does not run as root, and {sys.platform} offers neither unshare nor setpriv "
        "here. Run this as a normal user."
    )


def _works(prefix: tuple[str, ...]) -> bool:
    if shutil.which(prefix[0]) is None:
        return False
    return subprocess.run([*prefix, "true"], capture_output=True, check=False).returncode == 0
