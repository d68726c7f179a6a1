"""Nothing between generator and upstream: the latency that is not anyone's to answer for."""

from collections.abc import Mapping, Sequence

from bench.lanes import Lane
from bench.targets.target import Endpoint, Site


class Direct:
    name = "direct"

    def __init__(self) -> None:
        self._ports: Mapping[Lane, int] = {}

    def start(self, site: Site) -> None:
        self._ports = site.upstream_ports

    def stop(self) -> None:
        """The upstream belongs to the harness."""

    def endpoint(self, lane: Lane, /) -> Endpoint:
        return Endpoint(port=self._ports[lane])

    def measured_pids(self) -> Sequence[int]:
        return ()

    def services(self) -> Mapping[str, int]:
        return {}
