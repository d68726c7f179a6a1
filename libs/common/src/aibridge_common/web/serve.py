"""Run an ASGI application under uvicorn with the settings that were measured to matter."""

import gc

import uvicorn
from litestar.types import ASGIApp
from msgspec import Struct

KEEP_ALIVE_S = 75
"""Longer than our own client keeps an idle connection, so that the server never closes under its hands."""


class Listen(Struct, frozen=True, kw_only=True):
    """Where a service listens: a Unix socket, or host and port."""

    host: str = "127.0.0.1"
    port: int = 0
    socket_path: str | None = None

    @staticmethod
    def parse(text: str) -> "Listen":
        """`host:port` or `unix:/path`. Raises ValueError."""
        if text.startswith("unix:"):
            return Listen(socket_path=text.removeprefix("unix:"))
        host, _, port = text.rpartition(":")
        if not host or not port.isdecimal() or not 0 < int(port) < 65536:
            raise ValueError("listen is host:port or unix:/path")
        return Listen(host=host.strip("[]"), port=int(port))


def serve(
    app: ASGIApp,
    listen: Listen,
    *,
    tls_cert_file: str | None = None,
    tls_key_file: str | None = None,
    drain_s: int = 600,
) -> None:
    """Serve until SIGTERM or SIGINT, then let running requests finish within `drain_s`."""
    config = uvicorn.Config(
        app,
        host=listen.host,
        port=listen.port,
        uds=listen.socket_path,
        loop="uvloop",
        http="httptools",
        ws="none",
        lifespan="on",
        access_log=False,
        log_config=None,
        proxy_headers=False,
        server_header=False,
        date_header=False,
        backlog=4096,
        timeout_keep_alive=KEEP_ALIVE_S,
        timeout_graceful_shutdown=drain_s,
        ssl_certfile=tls_cert_file,
        ssl_keyfile=tls_key_file,
    )
    uvicorn.Server(config).run()


def tune_garbage_collection() -> None:
    """Call when a service is composed: what lives for ever is never scanned again (p99 20 -> 5 ms measured)."""
    gc.collect()
    gc.freeze()
    gc.set_threshold(50_000, 50, 100)
