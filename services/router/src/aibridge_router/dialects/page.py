"""The page of the documentation that says what every conversion keeps, leaves out and refuses.

It is made by converting: each row is a request with one feature, sent through every codec. So it cannot be out of date.
"""

from msgspec import Raw, Struct

from aibridge_common.catalog import Capabilities
from aibridge_common.dialect import Dialect
from aibridge_common.errors import InvalidRequest
from aibridge_router.canonical.content import (
    Audio,
    Block,
    CacheMark,
    Data,
    Document,
    FileId,
    Image,
    State,
    Text,
    Thinking,
    ToolCall,
    ToolResult,
    Url,
)
from aibridge_router.canonical.losses import DROPS, REFUSALS, Losses
from aibridge_router.canonical.profile import Profile
from aibridge_router.canonical.request import (
    OutputFormat,
    Reasoning,
    Request,
    Sampling,
    ServerTool,
    Tool,
    ToolChoice,
    Turn,
)
from aibridge_router.dialects.registry import CODECS

_PIXEL = Data(media_type="image/png", base64="iVBORw0KGgo=")
_PDF = Data(media_type="application/pdf", base64="JVBERi0xLjQ=")
_SCHEMA = Raw(
    b'{"type":"object","properties":{"city":{"type":"string"}},"required":["city"],"additionalProperties":false}'
)
_TOOL = Tool(name="weather", description="The weather.", schema=_SCHEMA)
_CALL = ToolCall(id="call_1", name="weather", arguments='{"city":"Paris"}')


class _Column(Struct, frozen=True, kw_only=True):
    """A target: a dialect and a model that speaks it."""

    title: str
    dialect: Dialect
    capabilities: Capabilities


_COLUMNS = (
    _Column(
        title="Anthropic",
        dialect=Dialect.ANTHROPIC_MESSAGES,
        capabilities=Capabilities(
            reasoning="adaptive", sampling=False, system_mid=True, prefill=False
        ),
    ),
    _Column(
        title="Anthropic 3.5",
        dialect=Dialect.ANTHROPIC_MESSAGES,
        capabilities=Capabilities(structured="tool"),
    ),
    _Column(title="OpenAI Chat", dialect=Dialect.OPENAI_CHAT, capabilities=Capabilities()),
    _Column(
        title="OpenAI Responses",
        dialect=Dialect.OPENAI_RESPONSES,
        capabilities=Capabilities(reasoning="effort", sampling=False),
    ),
    _Column(
        title="Gemini",
        dialect=Dialect.GEMINI_GENERATE,
        capabilities=Capabilities(reasoning="level", audio=True, stop_max=5),
    ),
)


def _asked(*blocks: Block, **more: object) -> Request:
    turns = [Turn(role="user", blocks=list(blocks) or [Text(text="Hello")])]
    return Request(**({"model": "m", "turns": turns} | more))  # pyright: ignore[reportArgumentType]


def _answered(*results: Block) -> Request:
    return _asked(
        turns=[
            Turn(role="user", blocks=[Text(text="Hello")]),
            Turn(role="assistant", blocks=[_CALL]),
            Turn(role="user", blocks=list(results)),
        ],
        tools=[_TOOL],
    )


def _thought(provider: str) -> Request:
    state = State(provider=provider, data="c2lnbmF0dXJl")
    return _asked(
        turns=[
            Turn(role="user", blocks=[Text(text="Hello")]),
            Turn(role="assistant", blocks=[Thinking(text="Hm.", state=state), Text(text="Hi")]),
            Turn(role="user", blocks=[Text(text="Go on")]),
        ]
    )


_FEATURES: dict[str, Request] = {
    "text": _asked(),
    "instructions": _asked(system=[Text(text="Be brief.")]),
    "instructions in mid-conversation": _asked(
        turns=[
            Turn(role="user", blocks=[Text(text="Hello")]),
            Turn(role="system", blocks=[Text(text="Be brief.")]),
            Turn(role="user", blocks=[Text(text="Go on")]),
        ]
    ),
    "output limit": _asked(output_tokens_max=100),
    "temperature, top_p": _asked(sampling=Sampling(temperature=0.5, top_p=0.9)),
    "top_k": _asked(sampling=Sampling(top_k=5)),
    "seed": _asked(sampling=Sampling(seed=7)),
    "penalties": _asked(sampling=Sampling(presence_penalty=0.5)),
    "two stop sequences": _asked(stop=["END", "STOP"]),
    "six stop sequences": _asked(stop=["a", "b", "c", "d", "e", "f"]),
    "image by content": _asked(Image(source=_PIXEL)),
    "image by URL": _asked(Image(source=Url(url="https://example.com/a.png"))),
    "image detail": _asked(Image(source=_PIXEL, detail="high")),
    "PDF by content": _asked(Document(source=_PDF, title="a.pdf")),
    "PDF by URL": _asked(Document(source=Url(url="https://example.com/a.pdf"))),
    "text document": _asked(Document(text="Once upon a time", title="story")),
    "file of another provider": _asked(
        Document(source=FileId(dialect=Dialect.OPENAI_CHAT, id="file-1"))
    ),
    "audio": _asked(Audio(source=Data(media_type="audio/wav", base64="UklGRg=="))),
    "tools": _asked(tools=[_TOOL]),
    "a forced tool": _asked(tools=[_TOOL], tool_choice=ToolChoice(mode="tool", name="weather")),
    "one call at a time": _asked(tools=[_TOOL], parallel_tools=False),
    "a free-text tool": _asked(tools=[Tool(name="patch", description="A patch.", custom=True)]),
    "deferred tools": _asked(tools=[_TOOL, Tool(name="other", schema=_SCHEMA, deferred=True)]),
    "a server tool beside others": _asked(
        tools=[_TOOL],
        server_tools=[
            ServerTool(
                dialect=Dialect.ANTHROPIC_MESSAGES,
                kind="web_search_20250305",
                raw=Raw(b'{"type":"web_search_20250305","name":"web_search"}'),
            )
        ],
    ),
    "a server tool alone": _asked(
        server_tools=[
            ServerTool(
                dialect=Dialect.ANTHROPIC_MESSAGES,
                kind="web_search_20250305",
                raw=Raw(b'{"type":"web_search_20250305","name":"web_search"}'),
            )
        ],
    ),
    "tool result": _answered(ToolResult(call_id="call_1", blocks=[Text(text="21 degrees")])),
    "image in a tool result": _answered(
        ToolResult(call_id="call_1", blocks=[Image(source=_PIXEL)])
    ),
    "failed tool result": _answered(
        ToolResult(call_id="call_1", blocks=[Text(text="no")], is_error=True)
    ),
    "tool result without its call": _answered(
        ToolResult(call_id="call_1", blocks=[Text(text="21")]),
        ToolResult(call_id="call_9", blocks=[Text(text="22")]),
    ),
    "JSON": _asked(output_format=OutputFormat()),
    "JSON by schema": _asked(
        output_format=OutputFormat(schema=_SCHEMA, name="answer", strict=True)
    ),
    "reasoning by level": _asked(reasoning=Reasoning(effort="high")),
    "reasoning by budget": _asked(reasoning=Reasoning(budget_tokens=4000), output_tokens_max=8000),
    "Anthropic's thinking replayed": _thought("anthropic"),
    "OpenAI's reasoning replayed": _thought("openai"),
    "Google's thoughts replayed": _thought("google"),
    "cache markers": _asked(Text(text="Hello", cache=CacheMark())),
    "cache key": _asked(session="session-1"),
    "verbosity": _asked(verbosity="low"),
    "end user's id": _asked(user="user-1"),
    "another dialect's state on a server": _asked(needs=["previous_response_id"]),
    "members without a word in the hub": _asked(drops=["metadata", "service_tier"]),
}
_PROVIDERS = {
    Dialect.ANTHROPIC_MESSAGES: "anthropic",
    Dialect.OPENAI_CHAT: "openai",
    Dialect.OPENAI_RESPONSES: "openai",
    Dialect.GEMINI_GENERATE: "google",
}


def conversion_page() -> str:
    """The page as Markdown."""
    lines = [
        "# What conversion keeps, leaves out and refuses",
        "",
        "Made by `make docs` from the code itself. A request in the vendor's own dialect is not converted and keeps",
        "everything. What is left out is named in the answer's `x-aibridge-dropped` header; what is refused is a 400",
        "that names the field. Content behind a URL that a vendor does not fetch is fetched by the router, where the",
        "operator allows it.",
        "",
        "| feature | " + " | ".join(column.title for column in _COLUMNS) + " |",
        "|---" * (len(_COLUMNS) + 1) + "|",
    ]
    for feature, request in _FEATURES.items():
        cells = [_cell(request, column) for column in _COLUMNS]
        lines.append(f"| {feature} | " + " | ".join(cells) + " |")
    lines += ["", "## Left out", ""]
    lines += [f"- `{name}`: {reason}" for name, reason in DROPS.items()]
    lines += ["", "## Refused", ""]
    lines += [f"- {reason}" for reason in REFUSALS.values()]
    return "\n".join(lines) + "\n"


def _cell(request: Request, column: _Column) -> str:
    profile = Profile(
        provider=_PROVIDERS[column.dialect],
        upstream_model="m",
        context_tokens=200_000,
        max_output_tokens=64_000,
        capabilities=column.capabilities,
    )
    losses = Losses()
    try:
        CODECS[column.dialect].request_to_wire(request, profile, losses)
    except InvalidRequest as refusal:
        return f"refused (`{refusal.param}`)"
    return "left out: " + ", ".join(f"`{n}`" for n in losses.names) if losses.names else "kept"
