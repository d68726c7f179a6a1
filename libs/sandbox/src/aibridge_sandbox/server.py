"""uvicorn, with the connection itself within the application's reach.

ASGI has no word for "hang up now", so each connection is left in the ASGI state.
"""

import asyncio
from collections.abc import Callable
from typing import Any, cast

from litestar import Litestar
from uvicorn import Config, Server
from uvicorn.protocols.http import auto
from uvicorn.server import ServerState

from aibridge_sandbox.reply.wire import LINK_STATE

GRACE_S = 1
"""How long open streams may go on after SIGTERM."""


class _Link:
    """One connection; uvicorn's protocol learns its transport only once connected."""

    def __init__(self) -> None:
        self.protocol: asyncio.Protocol | None = None

    @property
    def transport(self) -> asyncio.Transport | None:
        return getattr(self.protocol, "transport", None)


def _reachable(
    config: Config,
    server_state: ServerState,
    app_state: dict[str, Any],
    _loop: asyncio.AbstractEventLoop | None = None,
) -> asyncio.Protocol:
    link = _Link()
    make = cast("Callable[..., asyncio.Protocol]", auto.AutoHTTPProtocol)
    link.protocol = make(
        config=config,
        server_state=server_state,
        app_state={**app_state, LINK_STATE: link},
        _loop=_loop,
    )
    return link.protocol


def build_server(
    app: Litestar, *, host: str = "127.0.0.1", port: int = 0, uds: str | None = None
) -> Server:
    """A server not yet started; port 0 takes a free one."""
    config = Config(
        app,
        host=host,
        port=port,
        uds=uds,
        http=_reachable,  # pyright: ignore[reportArgumentType]  # uvicorn only calls it
        ws="none",
        log_level="warning",
        access_log=False,
        server_header=False,
        timeout_graceful_shutdown=GRACE_S,
    )
    return Server(config)
