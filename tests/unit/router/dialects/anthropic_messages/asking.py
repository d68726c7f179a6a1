"""Requests of the hub, and what they look like on the wire of a model."""

from typing import Any

import msgspec

from aibridge_router.canonical.content import Block, Text
from aibridge_router.canonical.losses import Losses
from aibridge_router.canonical.profile import Capabilities, Profile
from aibridge_router.canonical.request import Request, Turn
from aibridge_router.dialects.anthropic_messages.codec import CODEC

MODEL = "claude-sample"


def profile(provider: str = "anthropic", **capabilities: Any) -> Profile:
    return Profile(
        provider=provider,
        upstream_model=MODEL,
        context_tokens=200_000,
        max_output_tokens=64_000,
        capabilities=Capabilities(**capabilities),
    )


def user(*blocks: Block | str) -> Turn:
    return Turn(role="user", blocks=_blocks(blocks))


def assistant(*blocks: Block | str) -> Turn:
    return Turn(role="assistant", blocks=_blocks(blocks))


def system(*blocks: Block | str) -> Turn:
    return Turn(role="system", blocks=_blocks(blocks))


def asked(*turns: Turn, **members: Any) -> Request:
    return Request(model="client-model", turns=list(turns) or [user("Hi")], **members)


def written(request: Request, target: Profile | None = None) -> dict[str, Any]:
    """The body, without the markers that are set where none was asked for."""
    body, _ = written_with_losses(request, target)
    return body


def written_with_losses(
    request: Request, target: Profile | None = None
) -> tuple[dict[str, Any], tuple[str, ...]]:
    losses = Losses()
    body = msgspec.json.decode(CODEC.request_to_wire(request, target or profile(), losses))
    return unmarked(body), losses.names


def marked(request: Request, target: Profile | None = None) -> dict[str, Any]:
    """The body with its cache markers."""
    return msgspec.json.decode(CODEC.request_to_wire(request, target or profile(), Losses()))


def unmarked(value: Any) -> Any:
    """A body without its cache markers."""
    if isinstance(value, dict):
        return {name: unmarked(each) for name, each in value.items() if name != "cache_control"}
    if isinstance(value, list):
        return [unmarked(each) for each in value]
    return value


def read(**members: Any) -> Request:
    """What the hub makes of a body; `messages` may be left out."""
    body = {"model": MODEL, "max_tokens": 100, "messages": [{"role": "user", "content": "Hi"}]}
    return CODEC.request_from_wire(msgspec.json.encode(body | members))


def read_blocks(*blocks: Any, role: str = "user") -> list[Block]:
    """What the hub makes of a message's content."""
    return read(messages=[{"role": role, "content": list(blocks)}]).turns[0].blocks


def _blocks(blocks: tuple[Block | str, ...]) -> list[Block]:
    return [Text(text=block) if isinstance(block, str) else block for block in blocks]
