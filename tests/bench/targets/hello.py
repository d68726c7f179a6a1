"""A Python server that answers by itself: what uvicorn and ASGI cost before any gateway's work.

Not in the default run. It speaks JSON only, so it goes with the json_* scenarios.
"""

import sys
from collections.abc import Mapping, Sequence

from bench.lanes import Lane
from bench.machine import free_ports
from bench.targets.server import Server, answers_http
from bench.targets.target import Endpoint, Site, StartError

OPTIONS = (
    *("--host=127.0.0.1", "--backlog=4096", "--loop=uvloop", "--http=httptools"),
    *("--no-access-log", "--log-level=error"),
    *("--no-proxy-headers", "--no-server-header", "--no-date-header"),
)


class Hello:
    name = "hello"

    def __init__(self) -> None:
        self._server: Server | None = None
        self._port = 0

    def start(self, site: Site) -> None:
        [self._port] = free_ports(1)
        application = "bench.targets.hello_app:application"
        server = self._server = Server(
            [sys.executable, "-m", "uvicorn", application, f"--port={self._port}", *OPTIONS],
            core=site.machine.target_core,
            log=site.folder / "uvicorn.log",
        )
        server.wait_until(lambda: answers_http(self._port), seconds_max=10)

    def stop(self) -> None:
        if self._server is not None:
            self._server.stop()

    def endpoint(self, _lane: Lane, /) -> Endpoint:
        return Endpoint(port=self._port)

    def measured_pids(self) -> Sequence[int]:
        return tuple(self.services().values())

    def services(self) -> Mapping[str, int]:
        if self._server is None:
            raise StartError("was not started")
        return {"hello": self._server.pid}
