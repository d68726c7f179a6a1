"""A PostgreSQL of our own: one cluster in one folder, loopback TCP only, passwords always."""

import os
import shutil
import signal
from pathlib import Path

from aibridge_devstack.binaries import postgres_folder
from aibridge_devstack.ports import LOOPBACK
from aibridge_devstack.private_file import write_private
from aibridge_devstack.probes import PostgresProbe
from aibridge_devstack.service import Job, Service
from aibridge_devstack.supervisor import Supervisor
from aibridge_devstack.unprivileged import unprivileged

SUPERUSER = "postgres"
_SETTINGS = (
    f"listen_addresses={LOOPBACK}",
    "unix_socket_directories=",
    "shared_buffers=64MB",
    "max_connections=200",
    "fsync=on",
    "log_checkpoints=off",
    "timezone=UTC",
    "log_timezone=UTC",
)


def postgres_url(*, port: int, password: str, role: str = SUPERUSER, database: str) -> str:
    """Passwords of ours are URL-safe."""
    return f"postgresql://{role}:{password}@{LOOPBACK}:{port}/{database}"


def postgres_service(folder: Path, *, port: int, password: str) -> Service:
    """Ready when a query answers. A commit waits for the disk, as in production."""
    settings = [part for setting in _SETTINGS for part in ("-c", setting)]
    return Service(
        name="postgres",
        argv=(
            *unprivileged().prefix,
            str(postgres_folder() / "postgres"),
            *("-D", str(folder), "-p", str(port), *settings),
        ),
        env=_environment(),
        probe=PostgresProbe(url=postgres_url(port=port, password=password, database="postgres")),
        stop_signal=signal.SIGINT,  # ends sessions; SIGTERM would wait for them
        stop_timeout_s=30.0,
    )


async def ensure_cluster(
    supervisor: Supervisor, folder: Path, *, password: str, throwaway: bool = False
) -> None:
    """Made beside its place and moved there when complete, so that a half-made one is never used.

    `throwaway` does not wait for the disk while making it.
    """
    if (folder / "PG_VERSION").exists():
        return
    half_made = folder.with_name(f"{folder.name}.new")
    shutil.rmtree(half_made, ignore_errors=True)
    half_made.mkdir(mode=0o700, parents=True)
    run_as = unprivileged()
    run_as.own(half_made)
    password_file = half_made.with_suffix(".pw")
    write_private(password_file, password.encode("ascii"))
    run_as.own(password_file)
    try:
        await supervisor.run(
            Job(
                name="initdb",
                argv=(
                    *run_as.prefix,
                    str(postgres_folder() / "initdb"),
                    *("-D", str(half_made), "-U", SUPERUSER, f"--pwfile={password_file}"),
                    *("-A", "scram-sha-256", "-E", "UTF8", "--locale=C", "--no-instructions"),
                    *(("--no-sync",) if throwaway else ()),
                ),
                env=_environment(),
            )
        )
    finally:
        password_file.unlink(missing_ok=True)
    half_made.rename(folder)


def _environment() -> dict[str, str]:
    """PGDATA, PGPORT and their like must not leak in."""
    return {
        "PATH": os.environ.get("PATH", os.defpath),
        "LC_ALL": "C",
        "TMPDIR": os.environ.get("TMPDIR", "/tmp"),  # noqa: S108 - the system's own default
    }
