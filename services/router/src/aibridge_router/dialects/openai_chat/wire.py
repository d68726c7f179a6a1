"""OpenAI Chat Completions on the wire: what we listen to, leniently.

JSON that we only carry (schemas, grammars) is `Raw`, empty where it is absent: msgspec has no optional `Raw`.
"""

from typing import Any

from msgspec import Raw, Struct

from aibridge_router.dialects.openai_chat.usage import ChatUsage


class CacheControl(Struct, frozen=True):
    """Not OpenAI's: some clients send Anthropic's marker in chat bodies for Claude models."""

    type: str = "ephemeral"
    ttl: str | None = None


class ImageUrl(Struct, frozen=True):
    """`image_url`, an address or a data URL."""

    url: str
    detail: str | None = None


class File(Struct, frozen=True):
    """`file`: content as a data URL, or the id of an uploaded one."""

    filename: str | None = None
    file_data: str | None = None
    file_id: str | None = None


class InputAudio(Struct, frozen=True):
    """`input_audio`."""

    data: str
    format: str


class Part(Struct, frozen=True):
    """A content part; `type` says which of the others is set."""

    type: str
    text: str | None = None
    refusal: str | None = None
    image_url: ImageUrl | str | None = None
    file: File | None = None
    input_audio: InputAudio | None = None
    cache_control: CacheControl | None = None


class FunctionCall(Struct, frozen=True):
    """Name and argument text of a call; in a stream either may be missing."""

    name: str | None = None
    arguments: str | None = None


class CustomCall(Struct, frozen=True):
    """Name and free text of a custom tool's call."""

    name: str | None = None
    input: str | None = None


class ToolCallWire(Struct, frozen=True):
    """A tool call; `index` only in streams."""

    id: str | None = None
    type: str | None = None
    index: int | None = None
    function: FunctionCall | None = None
    custom: CustomCall | None = None


class Message(Struct, frozen=True):
    """A message of any role."""

    role: str
    content: str | list[Part] | None = None
    refusal: str | None = None
    reasoning_content: str | None = None
    tool_calls: list[ToolCallWire] | None = None
    function_call: FunctionCall | None = None
    tool_call_id: str | None = None
    name: str | None = None
    cache_control: CacheControl | None = None


class FunctionTool(Struct, frozen=True):
    """`function` of a tool."""

    name: str
    description: str | None = None
    parameters: Raw = Raw()
    strict: bool | None = None


class Grammar(Struct, frozen=True):
    """`format` of a custom tool; only the kind `grammar` has one. Responses' flat form has its members at the top."""

    type: str = "text"
    grammar: Raw = Raw()
    syntax: str | None = None
    definition: str | None = None


class CustomTool(Struct, frozen=True):
    """`custom` of a tool."""

    name: str
    description: str | None = None
    format: Grammar | None = None


class ToolWire(Struct, frozen=True):
    """A declared tool. Cursor's agent mode declares Responses' flat form here: name and parameters at the top."""

    type: str
    function: FunctionTool | None = None
    custom: CustomTool | None = None
    name: str | None = None
    description: str | None = None
    parameters: Raw = Raw()
    strict: bool | None = None
    format: Grammar | None = None
    cache_control: CacheControl | None = None


class NamedTool(Struct, frozen=True):
    """A tool named by a choice."""

    name: str


class AllowedTool(Struct, frozen=True):
    """An entry of `allowed_tools`."""

    type: str = "function"
    function: NamedTool | None = None
    custom: NamedTool | None = None
    name: str | None = None


class AllowedTools(Struct, frozen=True):
    """`allowed_tools` of a tool choice."""

    mode: str
    tools: list[AllowedTool]


class ToolChoiceWire(Struct, frozen=True):
    """A tool choice that is more than a word."""

    type: str
    function: NamedTool | None = None
    custom: NamedTool | None = None
    name: str | None = None
    allowed_tools: AllowedTools | None = None


class JsonSchema(Struct, frozen=True):
    """`json_schema` of a response format."""

    name: str = "response"
    description: str | None = None
    schema: Raw = Raw()
    strict: bool | None = None


class ResponseFormat(Struct, frozen=True):
    """`response_format`."""

    type: str
    json_schema: JsonSchema | None = None


class StreamOptions(Struct, frozen=True):
    """`stream_options`."""

    include_usage: bool | None = None


class ChatRequest(Struct, frozen=True):
    """The members of a request body that the hub has words for."""

    model: str
    messages: list[Message]
    max_tokens: int | None = None
    max_completion_tokens: int | None = None
    temperature: float | None = None
    top_p: float | None = None
    n: int | None = None
    stop: str | list[str] | None = None
    seed: int | None = None
    logprobs: bool | None = None
    top_logprobs: int | None = None
    presence_penalty: float | None = None
    frequency_penalty: float | None = None
    user: str | None = None
    safety_identifier: str | None = None
    prompt_cache_key: str | None = None
    stream: bool | None = None
    stream_options: StreamOptions | None = None
    tools: list[ToolWire] | None = None
    tool_choice: str | ToolChoiceWire | None = None
    parallel_tool_calls: bool | None = None
    response_format: ResponseFormat | None = None
    reasoning_effort: str | None = None
    verbosity: str | None = None


class AnswerMessage(Struct, frozen=True):
    """The message of a whole answer."""

    content: str | None = None
    refusal: str | None = None
    reasoning_content: str | None = None
    tool_calls: list[ToolCallWire] | None = None
    function_call: FunctionCall | None = None


class Choice(Struct, frozen=True):
    """One choice of a whole answer."""

    message: AnswerMessage
    finish_reason: str | None = None
    index: int = 0


class Completion(Struct, frozen=True):
    """A whole answer."""

    choices: list[Choice]
    id: str = ""
    model: str = ""
    usage: ChatUsage | None = None


class Delta(Struct, frozen=True):
    """What a chunk adds."""

    content: str | None = None
    refusal: str | None = None
    reasoning_content: str | None = None
    tool_calls: list[ToolCallWire] | None = None


class ChunkChoice(Struct, frozen=True):
    """One choice of a chunk."""

    delta: Delta | None = None
    finish_reason: str | None = None
    index: int = 0


class Chunk(Struct, frozen=True):
    """One event of a stream."""

    id: str = ""
    model: str = ""
    choices: list[ChunkChoice] | None = None
    usage: ChatUsage | None = None
    error: Any = None


def present(raw: Raw) -> Raw | None:
    """Carried JSON, None where it is absent or null."""
    return raw if bytes(raw) not in {b"", b"null"} else None
