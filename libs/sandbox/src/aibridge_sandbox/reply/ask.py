from typing import Any, Literal

import msgspec

ANY_TOOL = "*"


class Tool(msgspec.Struct, frozen=True, kw_only=True):
    """A tool the model may call."""

    name: str
    schema: dict[str, Any]
    kind: Literal["function", "custom"] = "function"
    namespace: str | None = None


class Ask(msgspec.Struct, frozen=True, kw_only=True):
    """What a request asks for, in no vendor's words."""

    model: str
    vendor_name: str
    text: str
    """The last user text, without directives."""
    tools: tuple[Tool, ...] = ()
    force: str | None = None
    """A tool's name, `ANY_TOOL`, or None if the model may choose."""
    parallel: bool = True
    result: str | None = None
    """What the tools answered, if the prompt ends with that."""
    schema: dict[str, Any] | None = None
    json_only: bool = False
    tokens_max: int | None = None
    thinks: bool = False
    stops: tuple[str, ...] = ()
