from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager

from litestar import Litestar, asgi
from litestar.datastructures import State
from litestar.handlers import ASGIRouteHandler
from litestar.types import Receive, Scope, Send

from aibridge_sandbox.anthropic.stand import ANTHROPIC
from aibridge_sandbox.call import Stand
from aibridge_sandbox.control import WORLD_STATE, control
from aibridge_sandbox.front import serve
from aibridge_sandbox.google.stand import GOOGLE
from aibridge_sandbox.openai.stand import OPENAI
from aibridge_sandbox.settings import Settings
from aibridge_sandbox.world.world import World, build_world


def create_app(settings: Settings | None = None) -> Litestar:
    """Three stand-in vendors and their control API.

    Scripted cuts need `server.build_server`; everything else works under any ASGI server.
    """
    world = build_world(settings or Settings())

    @asynccontextmanager
    async def journal_file(_: Litestar) -> AsyncGenerator[None]:
        world.journal.open()
        try:
            yield
        finally:
            world.journal.close()

    return Litestar(
        route_handlers=[control, *(_mount(stand, world) for stand in (OPENAI, ANTHROPIC, GOOGLE))],
        state=State({WORLD_STATE: world}),
        lifespan=[journal_file],
        openapi_config=None,
    )


def _mount(stand: Stand, world: World) -> ASGIRouteHandler:
    @asgi(f"/{stand.name}", is_mount=True, copy_scope=True)
    async def vendor(scope: Scope, receive: Receive, send: Send) -> None:
        await serve(stand, world, scope, receive, send)

    return vendor
