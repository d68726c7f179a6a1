"""The product as `aibridge-dev up` runs it.

Gateway and router move to the target's core. Everything else stays beside the load and makes way for
it: billing works off what was used in its own time, and would otherwise delay the next target's turn.
"""

import os
import shutil
from collections.abc import Mapping, Sequence
from pathlib import Path
from urllib.parse import urlsplit

import msgspec

from bench.cores import make_way, move_to_core
from bench.lanes import Lane
from bench.machine import ROOT, free_ports
from bench.processes import process_tree
from bench.targets.aibridge_catalog import catalog_of
from bench.targets.server import Server
from bench.targets.target import Endpoint, Site, StartError

PROGRAM = ROOT / ".venv" / "bin" / "aibridge-dev"
START_S_MAX = 180.0  # the first start makes a PostgreSQL cluster and migrates it

UNLIMITED = {
    "AIBRIDGE_GATEWAY_CONCURRENCY_MAX": "10000",
    "AIBRIDGE_GATEWAY_ACCOUNT_CONCURRENCY_MAX": "10000",
    "AIBRIDGE_GATEWAY_LAG_MAX_MS": "60000",
}
"""One customer asks for all that a core can do, and whether anything is refused then is not the question."""

ON_THE_PATH = ("gateway", "router")
SERVICES = ("gateway", "router", "auth", "billing")


class RunningProduct(msgspec.Struct, frozen=True, kw_only=True):
    """Of `dev.json` what a benchmark needs."""

    base_url: str
    demo_key: str
    pids: dict[str, int]


class AIBridge:
    name = "aibridge"

    def __init__(self) -> None:
        self._server: Server | None = None
        self._home: Path | None = None
        self._running: RunningProduct | None = None

    def start(self, site: Site) -> None:
        home = self._home = site.folder / "home"
        catalog = site.folder / "catalog.toml"
        catalog.write_text(catalog_of(site.upstream_ports))
        [port] = free_ports(1)
        server = self._server = Server(
            [str(PROGRAM), "up"],
            core=site.machine.load_core,
            log=site.folder / "aibridge-dev.log",
            environ={
                **os.environ,
                "AIBRIDGE_HOME": str(home),
                "AIBRIDGE_PORT": str(port),
                "AIBRIDGE_CATALOG": str(catalog),
                **UNLIMITED,
            },
        )
        record = home / "dev.json"
        server.wait_until(record.exists, seconds_max=START_S_MAX)
        self._running = msgspec.json.decode(record.read_bytes(), type=RunningProduct)
        on_the_path = {pid for root in self.measured_pids() for pid in process_tree(root)}
        move_to_core(on_the_path, site.machine.target_core)
        make_way(set(process_tree(server.pid)) - on_the_path)

    def stop(self) -> None:
        if self._server is not None:
            self._server.stop()
        if self._home is not None:
            shutil.rmtree(self._home, ignore_errors=True)  # a database of 50 MB; the log stays

    def endpoint(self, _lane: Lane, /) -> Endpoint:
        running = self._product()
        port = urlsplit(running.base_url).port
        if port is None:
            raise StartError(f"names no port: {running.base_url}")
        return Endpoint(port=port, headers=(f"Authorization: Bearer {running.demo_key}",))

    def measured_pids(self) -> Sequence[int]:
        return [self._product().pids[name] for name in ON_THE_PATH]

    def services(self) -> Mapping[str, int]:
        return {name: self._product().pids[name] for name in SERVICES}

    def _product(self) -> RunningProduct:
        if self._running is None:
            raise StartError("was not started")
        return self._running
