"""A NATS server of our own: JetStream in one folder, loopback only, one user."""

import json
import os
from pathlib import Path

from aibridge_devstack.binaries import nats_server
from aibridge_devstack.ports import LOOPBACK
from aibridge_devstack.private_file import write_private
from aibridge_devstack.probes import HttpProbe
from aibridge_devstack.service import Service

USER = "aibridge"


def nats_url(*, port: int, password: str) -> str:
    """Passwords of ours are URL-safe."""
    return f"nats://{USER}:{password}@{LOOPBACK}:{port}"


def nats_service(folder: Path, *, port: int, monitor_port: int, password: str) -> Service:
    """Writes its configuration anew, ports may have changed; ready when JetStream is up."""
    folder.mkdir(mode=0o700, parents=True, exist_ok=True)
    config = folder / "nats.conf"
    write_private(
        config,
        _config(folder / "store", port=port, monitor_port=monitor_port, password=password),
    )
    return Service(
        name="nats",
        argv=(str(nats_server()), "--config", str(config)),
        env={"PATH": os.environ.get("PATH", os.defpath)},
        probe=HttpProbe(
            origin=f"http://{LOOPBACK}:{monitor_port}", path="/healthz?js-enabled-only=true"
        ),
    )


def _config(store: Path, *, port: int, monitor_port: int, password: str) -> bytes:
    """In JSON, which its configuration language takes.

    `sync_interval: always` means that an acknowledged message is on the disk.
    """
    settings = {
        "server_name": "aibridge-dev",
        "listen": f"{LOOPBACK}:{port}",
        "http": f"{LOOPBACK}:{monitor_port}",
        "jetstream": {
            "store_dir": str(store),
            "sync_interval": "always",
            "max_mem": 128 * 1024**2,
            "max_file": 32 * 1024**3,  # what streams may reserve together, not what they take
        },
        "authorization": {"user": USER, "password": password},
    }
    return json.dumps(settings, indent=2).encode()
