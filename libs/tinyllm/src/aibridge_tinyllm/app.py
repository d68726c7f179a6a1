"""The routes: chat, the list of models, health."""

import logging
from collections.abc import Awaitable, Callable
from typing import TypeAlias

import msgspec

from aibridge_tinyllm.chat import Chat
from aibridge_tinyllm.generator import Generator
from aibridge_tinyllm.http import Exchange, Receive, Scope, Send
from aibridge_tinyllm.refusal import Refusal

WAITING_MAX = 8
"""Requests that may wait for the one that is being answered; one more is refused with 429."""

App: TypeAlias = Callable[[Scope, Receive, Send], Awaitable[None]]
_LOGGER = logging.getLogger("aibridge_tinyllm")


def create_app(generator: Generator, *, waiting_max: int = WAITING_MAX) -> App:
    """Serves one model to everybody who has any key."""
    chat = Chat(generator, waiting_max=waiting_max)
    card = {"id": generator.name, "object": "model", "created": 0, "owned_by": "tinyllm"}
    card |= {"context_length": generator.context_tokens}

    async def answer(exchange: Exchange) -> None:
        match exchange.method, exchange.path:
            case "GET", "/health":
                await exchange.answer(200, b'{"status":"ok"}')
            case "GET", "/v1/models":
                _want_key(exchange)
                models = {"object": "list", "data": [card]}
                await exchange.answer(200, msgspec.json.encode(models))
            case "POST", "/v1/chat/completions":
                _want_key(exchange)
                await chat.serve(exchange)
            case method, path:
                raise Refusal(404, f"Invalid URL ({method} {path})")

    async def app(scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            return
        exchange = Exchange(scope, receive, send)
        try:
            await answer(exchange)
        except Refusal as refusal:
            await _refuse(exchange, refusal)
        except Exception:
            _LOGGER.exception("the model failed")
            refusal = Refusal(500, "The model failed.", kind="server_error")
            await _refuse(exchange, refusal)

    return app


def _want_key(exchange: Exchange) -> None:
    scheme, _, key = exchange.header(b"authorization").partition(" ")
    if scheme.lower() != "bearer" or not key.strip():
        raise Refusal(
            401,
            "You didn't provide an API key. Any will do: Authorization: Bearer KEY.",
            code="invalid_api_key",
        )


async def _refuse(exchange: Exchange, refusal: Refusal) -> None:
    """A stream that has begun ends with the error as its last event."""
    if exchange.started:
        await exchange.write(b"data: " + refusal.body() + b"\n\n", more=False)
        return
    headers = {"retry_after": "5"} if refusal.status == 429 else {}
    await exchange.answer(refusal.status, refusal.body(), **headers)
