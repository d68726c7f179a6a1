"""What a vendor hears, and what it needs to answer."""

from collections.abc import Callable
from typing import Any
from urllib.parse import parse_qsl

import msgspec
from litestar.types import Receive, Scope

from aibridge_sandbox.refusal import Refusal
from aibridge_sandbox.reply.frame import Reply
from aibridge_sandbox.script import Script
from aibridge_sandbox.settings import Settings
from aibridge_sandbox.world.catalogue import Model, Vendor
from aibridge_sandbox.world.world import World


class Request(msgspec.Struct, frozen=True, kw_only=True):
    """One HTTP request, read to its end."""

    method: str
    path: str
    """Below the vendor's mount point."""
    query: dict[str, str]
    headers: tuple[tuple[str, str], ...]
    body: bytes
    too_large: bool = False

    def header(self, name: str) -> str:
        """The first header of that name, empty if there is none."""
        return next((value for key, value in self.headers if key == name), "")


class Call(msgspec.Struct, frozen=True, kw_only=True):
    """One request, heard and not yet judged."""

    world: World
    vendor: Vendor
    endpoint: str
    request: Request
    key: str
    model_id: str
    stream: bool
    body: dict[str, Any]
    script: Script
    mint: str
    """48 hexadecimal characters of this call alone."""

    @property
    def strict(self) -> bool:
        """Whether the vendor is as picky as the real one."""
        return self.world.settings.strict

    @property
    def model(self) -> Model | None:
        """None if the catalogue does not know the id."""
        return self.world.catalogue.find(self.vendor, self.model_id)


class Endpoint(msgspec.Struct, frozen=True, kw_only=True):
    """What one path of a vendor does."""

    name: str
    reply: Callable[[Call], Reply]
    tail: Callable[[dict[str, Any]], str] = lambda _: ""
    """The text in which a directive counts: the last user text, or the last tool results."""
    has_body: bool = True


class Route(msgspec.Struct, frozen=True, kw_only=True):
    """An endpoint, and what the path already told."""

    endpoint: Endpoint
    model_id: str | None = None
    stream: bool | None = None


class Stand(msgspec.Struct, frozen=True, kw_only=True):
    """One stand-in vendor."""

    name: Vendor
    authenticate: Callable[[Request, Settings], str]
    """The key; raises `Refusal` for a missing, refused or unfunded one."""
    route: Callable[[Request], Route]
    """Raises `Refusal` for a path that is none."""
    envelope: Callable[[Refusal, Request, str], Reply]
    """The refusal in the vendor's shape; the text is this call's mint."""


async def read_request(scope: Scope, receive: Receive, bytes_max: int) -> Request:
    """The whole request; a body above the limit is read to its end and forgotten."""
    assert scope["type"] == "http"  # the mounts serve nothing else
    body = bytearray()
    size = 0
    while True:
        message = await receive()
        if message["type"] != "http.request":
            break
        size += len(message["body"])
        if size <= bytes_max:
            body += message["body"]
        if not message.get("more_body"):
            break
    return Request(
        method=scope["method"],
        path="/" + scope["path"].strip("/"),
        query=dict(parse_qsl(scope["query_string"].decode("latin-1"), keep_blank_values=True)),
        headers=tuple(
            (name.decode("latin-1").lower(), value.decode("latin-1"))
            for name, value in scope["headers"]
        ),
        body=bytes(body),
        too_large=size > bytes_max,
    )
