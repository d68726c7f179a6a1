"""A request, whatever the dialect it was asked in."""

from typing import Literal

from msgspec import Raw, Struct

from aibridge_common.dialect import Dialect
from aibridge_router.canonical.content import Block, CacheMark, Text

Effort = Literal["off", "minimal", "low", "medium", "high", "xhigh", "max"]


class Turn(Struct, frozen=True, kw_only=True):
    """One turn. A `system` turn stands inside the conversation; leading instructions are `Request.system`.

    Consecutive turns of one role are allowed; a dialect that forbids them merges. Tool results are in `user` turns.
    """

    role: Literal["user", "assistant", "system"]
    blocks: list[Block]


class Tool(Struct, frozen=True, kw_only=True):
    """A tool the client runs. `schema` is the JSON Schema of its arguments; a `custom` tool takes free text.

    `grammar` is that text's grammar: an object with `syntax` ("lark" or "regex") and `definition`.
    """

    name: str
    description: str | None = None
    schema: Raw | None = None
    strict: bool | None = None
    custom: bool = False
    grammar: Raw | None = None
    deferred: bool = False
    cache: CacheMark | None = None


class ServerTool(Struct, frozen=True, kw_only=True):
    """A tool the vendor runs (web search, code execution): no other vendor has the same one."""

    dialect: Dialect
    kind: str
    raw: Raw


class ToolChoice(Struct, frozen=True, kw_only=True):
    """`any` forces some tool, `tool` forces the one in `name`; `allowed` narrows the choice."""

    mode: Literal["auto", "any", "none", "tool"]
    name: str | None = None
    allowed: list[str] | None = None


class Reasoning(Struct, frozen=True, kw_only=True):
    """How much to think: by level or by budget. `show` asks for a readable account of it."""

    effort: Effort | None = None
    budget_tokens: int | None = None
    adaptive: bool = False
    show: bool | None = None


class OutputFormat(Struct, frozen=True, kw_only=True):
    """The answer must be JSON; with a `schema` it must fit it."""

    schema: Raw | None = None
    name: str | None = None
    strict: bool | None = None
    description: str | None = None


class Sampling(Struct, frozen=True, kw_only=True):
    """How to choose among likely words."""

    temperature: float | None = None
    top_p: float | None = None
    top_k: int | None = None
    seed: int | None = None
    presence_penalty: float | None = None
    frequency_penalty: float | None = None


class Request(Struct, frozen=True, kw_only=True):
    """Everything a client asked for.

    `extras` holds the members of the body that the hub has no word for, by the dialect they came in; they go back out
    only to that dialect. `needs` names members of the body that another dialect must refuse rather than drop
    (`previous_response_id`, `container`, …). `drops` names those another dialect leaves out.
    """

    model: str
    turns: list[Turn]
    system: list[Text] = []
    tools: list[Tool] = []
    server_tools: list[ServerTool] = []
    tool_choice: ToolChoice | None = None
    parallel_tools: bool | None = None
    output_tokens_max: int | None = None
    sampling: Sampling = Sampling()
    stop: list[str] = []
    choices: int = 1
    logprobs: int | None = None
    reasoning: Reasoning | None = None
    output_format: OutputFormat | None = None
    verbosity: str | None = None
    stream: bool = False
    usage_asked: bool = True
    user: str | None = None
    session: str | None = None
    extras: dict[Dialect, dict[str, Raw]] = {}
    needs: list[str] = []
    drops: list[str] = []
