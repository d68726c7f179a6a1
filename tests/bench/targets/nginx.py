"""nginx as a plain reverse proxy: one worker, kept upstream connections, nothing buffered or logged.

It reads no body and checks no key, so it is the practical limit of what a proxy on one core can do.
"""

from collections.abc import Mapping, Sequence

from bench.lanes import LANES, Lane
from bench.machine import free_ports
from bench.targets.server import Server, answers_http
from bench.targets.target import Endpoint, Site, StartError

TEMP_PATHS = ("client_body", "proxy", "fastcgi", "uwsgi", "scgi")

CONFIGURATION = """\
daemon off;
worker_processes 1;
pid {folder}/nginx.pid;
error_log stderr warn;
events {{ worker_connections 8192; }}
http {{
    access_log off;
    {temp_paths}
    client_max_body_size 16m;
    client_body_buffer_size 256k;
    keepalive_requests 1000000000;
    proxy_http_version 1.1;
    proxy_set_header Connection "";
    proxy_set_header Authorization "Bearer upstream-key";
    proxy_buffering off;
    {lanes}
}}
"""

LANE = """
    upstream {name} {{
        server 127.0.0.1:{upstream_port};
        keepalive 1024;
        keepalive_requests 1000000000;
    }}
    server {{
        listen 127.0.0.1:{port} backlog=4096;
        location / {{ proxy_pass http://{name}; }}
    }}
"""


class Nginx:
    name = "nginx"

    def __init__(self) -> None:
        self._server: Server | None = None
        self._ports: dict[Lane, int] = {}

    def start(self, site: Site) -> None:
        self._ports = dict(zip(LANES, free_ports(len(LANES)), strict=True))
        lanes = "".join(
            LANE.format(name=lane.name, port=port, upstream_port=site.upstream_ports[lane])
            for lane, port in self._ports.items()
        )
        temp_paths = " ".join(f"{name}_temp_path {site.folder}/{name};" for name in TEMP_PATHS)
        configuration = site.folder / "nginx.conf"
        configuration.write_text(
            CONFIGURATION.format(folder=site.folder, temp_paths=temp_paths, lanes=lanes)
        )
        server = self._server = Server(
            [site.machine.nginx, "-e", "stderr", "-p", str(site.folder), "-c", str(configuration)],
            core=site.machine.target_core,
            log=site.folder / "nginx.log",
        )
        port = self._ports[LANES[0]]
        server.wait_until(lambda: answers_http(port), seconds_max=10)

    def stop(self) -> None:
        if self._server is not None:
            self._server.stop()

    def endpoint(self, lane: Lane, /) -> Endpoint:
        return Endpoint(port=self._ports[lane])

    def measured_pids(self) -> Sequence[int]:
        return tuple(self.services().values())

    def services(self) -> Mapping[str, int]:
        if self._server is None:
            raise StartError("was not started")
        return {"nginx": self._server.pid}
