"""`python draining_app.py SOCKET DRAIN_S`: a stream that ends when asked to, or at the last call."""

import asyncio
import sys

from litestar import Litestar, asgi
from litestar.types import Receive, Scope, Send

from aibridge_common.web.client import Client
from aibridge_common.web.drain import Drain
from aibridge_common.web.health import health_routes
from aibridge_common.web.serve import Listen, serve

drain = Drain(float(sys.argv[2]))
end = asyncio.Event()
ending: list[bytes] = []


def finish(word: bytes) -> None:
    ending.append(word)
    end.set()


async def respond(scope: Scope, receive: Receive, send: Send) -> None:
    client, path = Client(receive, send), scope["path"]
    await client.start(503 if drain.started and path == "/refusing" else 200, [])
    if path == "/stream":
        await client.write(b"began ")
        await end.wait()
    if path == "/end":
        finish(b"asked")
    await client.finish(ending[0] if ending else b"")


drain.on_last_call(lambda: finish(b"last call"))
app = Litestar(
    [
        asgi(["/stream", "/end", "/refusing"], copy_scope=False)(respond),
        *health_routes({"accepting": drain.accepting}),
    ],
    logging_config=None,
)
serve(app, Listen(socket_path=sys.argv[1]), drain=drain)
