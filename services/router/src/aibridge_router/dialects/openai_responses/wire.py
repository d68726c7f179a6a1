"""What OpenAI Responses puts on the wire: items, their parts and tools, as both sides write them.

Read leniently: members not named here are skipped, `UNSET` is absent and `None` is null.
"""

from typing import Literal

import msgspec
from msgspec import UNSET, Raw, Struct, UnsetType

MaybeText = str | None | UnsetType


class Breakpoint(Struct, frozen=True, kw_only=True):
    """The explicit end of a prefix worth caching."""

    ttl: str | None = None


class InputText(Struct, frozen=True, kw_only=True, tag_field="type", tag="input_text"):
    """Text of anyone but the model."""

    text: str
    prompt_cache_breakpoint: Breakpoint | UnsetType | None = UNSET


class PlainText(Struct, frozen=True, kw_only=True, tag_field="type", tag="text"):
    """What some clients write for any text."""

    text: str


class OutputText(Struct, frozen=True, kw_only=True, tag_field="type", tag="output_text"):
    """Text of the model."""

    text: str
    annotations: list[Raw] | None = []
    logprobs: list[Raw] | UnsetType | None = UNSET


class RefusalText(Struct, frozen=True, kw_only=True, tag_field="type", tag="refusal"):
    """The model declining."""

    refusal: str


class InputImage(Struct, frozen=True, kw_only=True, tag_field="type", tag="input_image"):
    """A picture by URL, data URL or file id."""

    image_url: MaybeText = UNSET
    file_id: MaybeText = UNSET
    detail: MaybeText = UNSET
    prompt_cache_breakpoint: Breakpoint | UnsetType | None = UNSET


class InputFile(Struct, frozen=True, kw_only=True, tag_field="type", tag="input_file"):
    """A file by content, URL or id."""

    file_data: MaybeText = UNSET
    file_url: MaybeText = UNSET
    file_id: MaybeText = UNSET
    filename: MaybeText = UNSET
    prompt_cache_breakpoint: Breakpoint | UnsetType | None = UNSET


class Sound(Struct, frozen=True, kw_only=True):
    """Base64 and its format, `mp3` or `wav`."""

    data: str
    format: str


class InputAudio(Struct, frozen=True, kw_only=True, tag_field="type", tag="input_audio"):
    """Sound; not in the typed union of every client, taken by the models that hear."""

    input_audio: Sound


Part = InputText | PlainText | OutputText | RefusalText | InputImage | InputFile | InputAudio
Role = Literal["user", "assistant", "system", "developer"]


class Message(Struct, frozen=True, kw_only=True, tag_field="type", tag="message"):
    """A message; its `type` may be left out."""

    id: MaybeText = UNSET
    status: MaybeText = UNSET
    role: Role
    content: str | list[Part]


class FunctionCall(Struct, frozen=True, kw_only=True, tag_field="type", tag="function_call"):
    """The model calls a function."""

    id: MaybeText = UNSET
    status: MaybeText = UNSET
    call_id: str
    namespace: MaybeText = UNSET
    name: str
    arguments: str = ""


class CustomToolCall(Struct, frozen=True, kw_only=True, tag_field="type", tag="custom_tool_call"):
    """The model calls a free-text tool."""

    id: MaybeText = UNSET
    status: MaybeText = UNSET
    call_id: str
    namespace: MaybeText = UNSET
    name: str
    input: str = ""


class FunctionCallOutput(
    Struct, frozen=True, kw_only=True, tag_field="type", tag="function_call_output"
):
    """What a function answered."""

    call_id: str
    output: str | list[Part]


class CustomToolCallOutput(
    Struct, frozen=True, kw_only=True, tag_field="type", tag="custom_tool_call_output"
):
    """What a free-text tool answered."""

    call_id: str
    output: str | list[Part]


class SummaryText(Struct, frozen=True, kw_only=True):
    """A piece of reasoning, in a summary or in the open."""

    type: str = "summary_text"
    text: str = ""


class ReasoningItem(Struct, frozen=True, kw_only=True, tag_field="type", tag="reasoning"):
    """Reasoning: its summary, its text where the vendor shows it, and its encrypted form."""

    id: MaybeText = UNSET
    status: MaybeText = UNSET
    summary: list[SummaryText] | None = []
    content: list[SummaryText] | UnsetType | None = UNSET
    encrypted_content: MaybeText = UNSET


class AdditionalTools(Struct, frozen=True, kw_only=True, tag_field="type", tag="additional_tools"):
    """Tools that the developer adds inside the conversation."""

    tools: list[Raw]


class Format(Struct, frozen=True, kw_only=True):
    """`text.format`: text, json_object or json_schema."""

    type: str
    name: MaybeText = UNSET
    description: MaybeText = UNSET
    schema: Raw | UnsetType = UNSET
    strict: bool | UnsetType | None = UNSET


class TextConfig(Struct, frozen=True, kw_only=True):
    """What the text of the answer must be like."""

    format: Format | UnsetType | None = UNSET
    verbosity: MaybeText = UNSET


class ReasoningConfig(Struct, frozen=True, kw_only=True):
    """How much to reason. `generate_summary` is the old name of `summary`."""

    effort: MaybeText = UNSET
    summary: MaybeText = UNSET
    generate_summary: MaybeText = UNSET


class ConfigurationUpdate(
    Struct, frozen=True, kw_only=True, tag_field="type", tag="configuration_update"
):
    """Other settings from here on."""

    reasoning: ReasoningConfig | UnsetType | None = UNSET
    text: TextConfig | UnsetType | None = UNSET


Item = (
    Message
    | FunctionCall
    | FunctionCallOutput
    | CustomToolCall
    | CustomToolCallOutput
    | ReasoningItem
    | AdditionalTools
    | ConfigurationUpdate
)

ITEM_KINDS = frozenset(
    {
        "message",
        "function_call",
        "function_call_output",
        "custom_tool_call",
        "custom_tool_call_output",
        "reasoning",
        "additional_tools",
        "configuration_update",
    }
)


class FunctionTool(Struct, frozen=True, kw_only=True, tag_field="type", tag="function"):
    """A function the client runs."""

    name: str
    description: MaybeText = UNSET
    parameters: Raw | UnsetType = UNSET
    strict: bool | UnsetType | None = UNSET
    defer_loading: bool | UnsetType | None = UNSET


class Grammar(Struct, frozen=True, kw_only=True):
    """What a free-text tool takes: any text, or text of a grammar."""

    type: str = "grammar"
    syntax: str | UnsetType = UNSET
    definition: str | UnsetType = UNSET


class CustomTool(Struct, frozen=True, kw_only=True, tag_field="type", tag="custom"):
    """A free-text tool the client runs."""

    name: str
    description: MaybeText = UNSET
    format: Grammar | UnsetType | None = UNSET
    defer_loading: bool | UnsetType | None = UNSET


class NamespaceTool(Struct, frozen=True, kw_only=True, tag_field="type", tag="namespace"):
    """Tools under one name; their calls carry it beside their own."""

    name: str
    description: MaybeText = UNSET
    tools: list[Raw]


Tool = FunctionTool | CustomTool | NamespaceTool
TOOL_KINDS = frozenset({"function", "custom", "namespace"})


class Kind(Struct, frozen=True, kw_only=True):
    """What tells an item, a part or a tool apart."""

    type: str | None = None
    role: Raw | UnsetType = UNSET


decode_item = msgspec.json.Decoder(Item).decode
decode_message = msgspec.json.Decoder(Message).decode
decode_tool = msgspec.json.Decoder(Tool).decode
decode_kind = msgspec.json.Decoder(Kind).decode
decode_members = msgspec.json.Decoder(dict[str, Raw]).decode
encode = msgspec.json.Encoder().encode
