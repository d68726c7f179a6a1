"""What Google and its clients put on the wire, as far as the hub has words for it.

Google's JSON is that of protocol buffers: `null` is absent, and names are read in camelCase and in snake_case. We read
camelCase; `names` rewrites the rest. Unknown members are kept apart, see `request`.
"""

from collections.abc import Sequence
from typing import Annotated

from msgspec import Meta, Raw, Struct

from aibridge_router.dialects.gemini_generate.usage import UsageMetadata

Wire = dict[str, object]
"""A JSON object as we write it."""

Count = Annotated[int, Meta(ge=0)]
_ABSENT = Raw(b"")
_NOTHING = (_ABSENT, Raw(b"null"))


def present(raw: Raw) -> Raw | None:
    """The value of a member, None where it is absent or null."""
    return None if raw in _NOTHING else raw


class Blob(Struct, frozen=True, kw_only=True, rename="camel"):
    """Bytes in base64, of either alphabet."""

    mime_type: str | None = None
    data: str | None = None
    display_name: str | None = None


class FileData(Struct, frozen=True, kw_only=True, rename="camel"):
    """A file by its address."""

    mime_type: str | None = None
    file_uri: str | None = None


class FunctionCall(Struct, frozen=True, kw_only=True):
    """A call; `id` is optional at Google."""

    name: str | None = None
    args: Raw = _ABSENT
    id: str | None = None


class FunctionResponsePart(Struct, frozen=True, kw_only=True, rename="camel"):
    """A picture or a document inside a result."""

    inline_data: Blob | None = None
    file_data: FileData | None = None


class FunctionResponse(Struct, frozen=True, kw_only=True):
    """What a function answered; `id` is optional at Google."""

    name: str | None = None
    response: Raw = _ABSENT
    id: str | None = None
    parts: list[FunctionResponsePart] | None = None


class Part(Struct, frozen=True, kw_only=True, rename="camel"):
    """One of the kinds of content; what is none of these is opaque to us."""

    text: str | None = None
    thought: bool | None = None
    thought_signature: str | None = None
    function_call: FunctionCall | None = None
    function_response: FunctionResponse | None = None
    inline_data: Blob | None = None
    file_data: FileData | None = None


class Content(Struct, frozen=True, kw_only=True):
    """One turn."""

    role: str | None = None
    parts: list[Part] | None = None


class FunctionDeclaration(Struct, frozen=True, kw_only=True, rename="camel"):
    """A function, its arguments as Google's schema or as JSON Schema."""

    name: str
    description: str | None = None
    parameters: Raw = _ABSENT
    parameters_json_schema: Raw = _ABSENT
    behavior: str | None = None
    response: Raw = _ABSENT
    response_json_schema: Raw = _ABSENT


class Tool(Struct, frozen=True, kw_only=True, rename="camel"):
    """Functions; the vendor's own tools stand beside them under names of their own."""

    function_declarations: list[FunctionDeclaration] | None = None


class FunctionCallingConfig(Struct, frozen=True, kw_only=True, rename="camel"):
    """Whether a function must be called, and which."""

    mode: str | None = None
    allowed_function_names: list[str] | None = None


class ToolConfig(Struct, frozen=True, kw_only=True, rename="camel"):
    """The choice of functions."""

    function_calling_config: FunctionCallingConfig | None = None


class ThinkingConfig(Struct, frozen=True, kw_only=True, rename="camel"):
    """By budget or by level, never by both."""

    include_thoughts: bool | None = None
    thinking_budget: int | None = None
    thinking_level: str | None = None


class GenerationConfig(Struct, frozen=True, kw_only=True, rename="camel"):
    """How to generate."""

    temperature: float | None = None
    top_p: float | None = None
    top_k: float | None = None
    candidate_count: Count | None = None
    max_output_tokens: Count | None = None
    stop_sequences: list[str] | None = None
    seed: int | None = None
    presence_penalty: float | None = None
    frequency_penalty: float | None = None
    response_logprobs: bool | None = None
    logprobs: int | None = None
    response_mime_type: str | None = None
    response_schema: Raw = _ABSENT
    response_json_schema: Raw = _ABSENT
    thinking_config: ThinkingConfig | None = None


class Body(Struct, frozen=True, kw_only=True, rename="camel"):
    """A request; one content may stand without its list."""

    contents: list[Content] | Content | None = None
    system_instruction: Content | None = None
    tools: Sequence[Tool] | None = None
    tool_config: ToolConfig | None = None
    generation_config: GenerationConfig | None = None


class _ExactTool(Tool, frozen=True, kw_only=True, rename="camel", forbid_unknown_fields=True):
    pass


class _ExactToolConfig(
    ToolConfig, frozen=True, kw_only=True, rename="camel", forbid_unknown_fields=True
):
    pass


class _ExactGenerationConfig(
    GenerationConfig, frozen=True, kw_only=True, rename="camel", forbid_unknown_fields=True
):
    pass


class ExactBody(Body, frozen=True, kw_only=True, rename="camel", forbid_unknown_fields=True):
    """A request of which we know every member that matters: then nobody need look for others, which costs as much."""

    tools: Sequence[_ExactTool] | None = None
    tool_config: _ExactToolConfig | None = None
    generation_config: _ExactGenerationConfig | None = None


class Candidate(Struct, frozen=True, kw_only=True, rename="camel"):
    """An answer, or a piece of one."""

    content: Content | None = None
    finish_reason: str | None = None
    finish_message: str | None = None
    index: int | None = None


class PromptFeedback(Struct, frozen=True, kw_only=True, rename="camel"):
    """Why there is no answer."""

    block_reason: str | None = None
    block_reason_message: str | None = None


class ErrorWire(Struct, frozen=True, kw_only=True):
    """The vendor's error."""

    code: int | str | None = None
    message: str | None = None
    status: str | None = None
    details: Raw = _ABSENT


class Chunk(Struct, frozen=True, kw_only=True, rename="camel"):
    """A whole answer or a piece of a stream: they have one form."""

    candidates: list[Candidate] | None = None
    prompt_feedback: PromptFeedback | None = None
    usage_metadata: UsageMetadata | None = None
    model_version: str | None = None
    response_id: str | None = None
    error: ErrorWire | None = None
