"""What OpenAI demands of each input item, and of calls and their outputs."""

from typing import Any

from aibridge_sandbox.openai import wrong
from aibridge_sandbox.openai.responses.prompt import kind_of
from aibridge_sandbox.openai.rules import check_tool_name
from aibridge_sandbox.refusal import Refusal
from aibridge_sandbox.shape import as_dict, as_list, as_str, words
from aibridge_sandbox.world.seal import is_sealed

_KINDS = words(
    "message reasoning function_call function_call_output custom_tool_call "
    "custom_tool_call_output item_reference additional_tools configuration_update compaction "
    "compaction_trigger web_search_call file_search_call computer_call computer_call_output "
    "image_generation_call code_interpreter_call local_shell_call local_shell_call_output "
    "shell_call shell_call_output apply_patch_call apply_patch_call_output mcp_list_tools "
    "mcp_approval_request mcp_approval_response mcp_call tool_search_call tool_search_output "
    "program program_output"
)
_ROLES = ("assistant", "system", "developer", "user")
_INPUT_PARTS = ("input_text", "input_image", "input_file", "input_audio")
_OUTPUT_PARTS = ("output_text", "refusal")
_FOREIGN = ("cache_control", "signature", "thinking")
"""Fields of other vendors, refused wherever they stand; OpenAI's own clients add many others."""

_CALLS = frozenset({"function_call", "custom_tool_call"})
_OUTPUTS = frozenset({"function_call_output", "custom_tool_call_output"})
_CALL_ID_CHARACTERS_MAX = 64


def check_item(item: dict[str, Any], index: int) -> None:
    """Type and content of one input item; other types of OpenAI's own pass unread."""
    param = f"input[{index}]"
    kind = kind_of(item)
    if kind not in _KINDS:
        raise wrong.invalid(f"{param}.type", f"Invalid value: '{item.get('type')}'.")
    _check_foreign(item, param)
    match kind:
        case "message":
            _check_message(item, param)
        case "reasoning":
            _check_reasoning(item)
        case "function_call" | "custom_tool_call":
            _check_call_id(item, param)
            check_tool_name(item.get("name"), f"{param}.name")
            field = "arguments" if kind == "function_call" else "input"
            if not isinstance(item.get(field), str):
                raise wrong.missing(f"{param}.{field}")
        case "function_call_output" | "custom_tool_call_output":
            _check_call_id(item, param)
            if not isinstance(item.get("output"), str | list):
                raise wrong.missing(f"{param}.output")
        case _:
            return


def _check_foreign(value: dict[str, Any], param: str) -> None:
    for name in _FOREIGN:
        if name in value:
            raise wrong.unknown(f"{param}.{name}")


def _check_message(item: dict[str, Any], param: str) -> None:
    role = item.get("role")
    if role not in _ROLES:
        raise wrong.not_one_of(f"{param}.role", role, _ROLES)
    content = item.get("content")
    if isinstance(content, str):
        return
    if not isinstance(content, list):
        raise wrong.missing(f"{param}.content")
    allowed = _OUTPUT_PARTS if role == "assistant" else _INPUT_PARTS
    for number, part in enumerate(as_list(content)):
        where = f"{param}.content[{number}]"
        kind = as_dict(part).get("type")
        if kind not in allowed:
            raise wrong.not_one_of(where, kind, allowed)
        _check_foreign(as_dict(part), where)


def _check_reasoning(item: dict[str, Any]) -> None:
    state = item.get("encrypted_content")
    if state is not None and not is_sealed("openai", as_str(state)):
        raise Refusal(
            400,
            f"The encrypted content for item {item.get('id')} could not be verified. "
            "Reason: Encrypted content could not be decrypted or parsed.",
            code="invalid_encrypted_content",
        )


def _check_call_id(item: dict[str, Any], param: str) -> None:
    identity = as_str(item.get("call_id"))
    if not identity:
        raise wrong.missing(f"{param}.call_id")
    if len(identity) > _CALL_ID_CHARACTERS_MAX:
        raise wrong.too_long(f"{param}.call_id", _CALL_ID_CHARACTERS_MAX, len(identity))


def check_outputs(items: list[dict[str, Any]]) -> None:
    """Every call has an output and every output a call, in whatever order they stand between."""
    called: set[str] = set()
    answered: set[str] = set()
    for item in items:
        identity = as_str(item.get("call_id"))
        if kind_of(item) in _CALLS:
            called.add(identity)
        elif kind_of(item) in _OUTPUTS:
            if identity not in called:
                raise wrong.invalid(
                    "input",
                    f"No tool call found for function call output with call_id {identity}.",
                )
            answered.add(identity)
    for identity in sorted(called - answered):
        raise wrong.invalid("input", f"No tool output found for function call {identity}.")
