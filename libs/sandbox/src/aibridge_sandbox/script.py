"""The vocabulary of scripted behaviour: what a directive in a prompt, or a rule, may ask for.

A point in a stream (`at`) is a number of events already written, or a word: `connect` (before the
status line), `head` (headers only), `content` (before the first content event), `content:n` (after n
content events), `end` (everything but the terminal events).
"""

import json
from typing import Any, Literal

import msgspec

At = int | str
Garbage = Literal["text", "html", "sse", "truncated", "content_type"]
UsageFault = Literal["missing", "zero", "negative", "huge", "duplicate", "decreasing"]
Vendor = Literal["openai", "anthropic", "google"]

OPENING = "[[sandbox "
CLOSING = "]]"


class Cut(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Close the connection without a word."""

    at: At = 0
    reset: bool = False
    """RST instead of FIN; what the client has not read yet is lost too."""


class Hang(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Fall silent, then go on."""

    at: At = "content"
    s: float = 3_600.0


class StreamError(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """The vendor's own error event; a whole answer becomes an error status."""

    at: At = "content"
    type: str | None = None
    message: str = "Overloaded"
    code: str | None = None


class Tool(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """One or more calls of the same tool."""

    name: str | None = None
    """None takes the first declared tool."""
    args: dict[str, Any] | None = None
    """None takes the least arguments that satisfy the tool's schema."""
    raw: str | None = None
    """Argument text as is, valid JSON or not."""
    parallel: int = 1


class Script(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """One directive or rule; a field left out changes nothing."""

    # whom it concerns
    vendor: Vendor | None = None
    model: str | None = None
    endpoint: str | None = None
    key: str | None = None
    """The key itself, or its last four characters."""
    stream: bool | None = None
    probability: float | None = None
    times: int | None = None
    """How often it applies before it falls silent."""
    # what is answered
    text: str | None = None
    tokens: int | None = None
    thinking: bool | str | None = None
    redacted: bool | None = None
    tool: bool | str | Tool | None = None
    refusal: bool | str | None = None
    stop: str | None = None
    usage: UsageFault | dict[str, int] | None = None
    cached: int | None = None
    cache_write: int | None = None
    # what goes wrong
    status: int | None = None
    body: str | dict[str, Any] | None = None
    headers: dict[str, str] | None = None
    error: At | StreamError | None = None
    cut: At | Cut | None = None
    eof: At | None = None
    hang: At | Hang | None = None
    garbage: Garbage | None = None
    empty: bool | None = None
    # how it is written
    first_ms: float | None = None
    delay_ms: float | None = None
    drip_s: float | None = None
    split: int | None = None
    comments: int | None = None
    """An SSE comment frame before every n-th event."""


def merge(scripts: list[Script]) -> Script:
    """A later script wins wherever it says something."""
    said: dict[str, Any] = {}
    for script in scripts:
        for name in script.__struct_fields__:
            value = getattr(script, name)
            if value is not None:
                said[name] = value
    return Script(**said)


def directive(**said: Any) -> str:
    """The directive to put in a prompt; raises `msgspec.ValidationError` for a wrong word."""
    msgspec.convert(said, Script)
    return f"{OPENING}{json.dumps(said)}{CLOSING}"


def find_directives(text: str) -> tuple[list[str], str]:
    """The JSON of every directive in a text, and the text without them.

    An opening without a JSON object or without its closing is ordinary text.
    """
    decoder = json.JSONDecoder()
    found: list[str] = []
    kept: list[str] = []
    position = 0
    while (start := text.find(OPENING, position)) >= 0:
        body = start + len(OPENING)
        try:
            _, end = decoder.raw_decode(text, body)
        except ValueError:
            end = -1
        if end < 0 or not text.startswith(CLOSING, end):
            kept.append(text[position:body])
            position = body
            continue
        found.append(text[body:end])
        kept.append(text[position:start])
        position = end + len(CLOSING)
    kept.append(text[position:])
    return found, "".join(kept).strip()
