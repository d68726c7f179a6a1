"""Requests of the hub, and what they look like on the wire of a Chat model."""

import json
from typing import Any

import pytest
from msgspec.structs import replace

from aibridge_router.canonical.content import Block, Text
from aibridge_router.canonical.losses import CannotSay, Losses
from aibridge_router.canonical.profile import Capabilities, Profile
from aibridge_router.canonical.request import Request, Turn
from aibridge_router.dialects.openai_chat.codec import CODEC

EFFORTS = ("none", "minimal", "low", "medium", "high", "xhigh", "max")


def target(**capabilities: Any) -> Profile:
    return Profile(
        provider="openai",
        upstream_model="gpt-test",
        context_tokens=400_000,
        max_output_tokens=1000,
        capabilities=replace(Capabilities(), **capabilities),
    )


def user(*blocks: Block | str) -> Turn:
    return Turn(role="user", blocks=_blocks(blocks))


def assistant(*blocks: Block | str) -> Turn:
    return Turn(role="assistant", blocks=_blocks(blocks))


def system(*blocks: Block | str) -> Turn:
    return Turn(role="system", blocks=_blocks(blocks))


def asked(*turns: Turn, **members: Any) -> Request:
    return Request(model="m", turns=list(turns) or [user("hi")], **members)


def written(request: Request, profile: Profile | None = None) -> tuple[dict[str, Any], list[str]]:
    """The body, and what it leaves out."""
    losses = Losses()
    body = CODEC.request_to_wire(request, profile or target(), losses)
    return json.loads(body), list(losses.names)


def refused(request: Request, profile: Profile | None = None) -> str | None:
    with pytest.raises(CannotSay) as caught:
        CODEC.request_to_wire(request, profile or target(), Losses())
    return caught.value.param


def read(**members: Any) -> Request:
    """What the hub makes of a body; `messages` may be left out."""
    body = {"model": "m", "messages": [{"role": "user", "content": "hi"}]}
    return CODEC.request_from_wire(json.dumps(body | members).encode())


def _blocks(blocks: tuple[Block | str, ...]) -> list[Block]:
    return [Text(text=block) if isinstance(block, str) else block for block in blocks]
