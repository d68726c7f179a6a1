"""What Google demands of contents: roles, parts, and calls and their responses."""

import re
from typing import Any

from aibridge_sandbox.google.prompt import contents_of
from aibridge_sandbox.google.words import unknown_name, wrong, wrong_field
from aibridge_sandbox.shape import as_dict, as_list, as_str, dicts, words
from aibridge_sandbox.world.catalogue import Model
from aibridge_sandbox.world.seal import is_sealed

_ROLES = frozenset({"user", "model", "function"})
_DATA = words(
    "text inlineData fileData functionCall functionResponse executableCode codeExecutionResult "
    "toolCall toolResponse"
)
_PART = _DATA | words("thought thoughtSignature videoMetadata mediaResolution partMetadata")
_CALL = frozenset({"id", "name", "args", "partialArgs", "willContinue"})
_RESPONSE = frozenset({"id", "name", "response", "parts", "scheduling", "willContinue"})
_SKIPS = frozenset({"skip_thought_signature_validator", "context_engineering_is_the_way_to_go"})
"""What Google takes in place of a signature."""

_NAME = re.compile(r"[A-Za-z_][\w.:-]{0,127}")


def check_contents(body: dict[str, Any], model: Model) -> None:
    """Each content by itself, then calls, their responses and their signatures."""
    contents = contents_of(body)
    if not contents:
        raise wrong_field("contents", "contents is not specified")
    for index, content in enumerate(contents):
        _check_content(content, index)
    _check_calls(contents)
    if contents[-1].get("role") == "model" and not model.prefill:
        raise wrong(
            "Please ensure that single turn requests end with a user role or the role field is "
            "empty."
        )
    if model.signatures:
        _check_signed(contents)


def _check_content(content: dict[str, Any], index: int) -> None:
    where = f"contents[{index}]"
    for name in content:
        if name not in ("role", "parts"):
            raise unknown_name(name, where)
    if as_str(content.get("role", "user")) not in _ROLES:
        raise wrong("Please use a valid role: user, model.")
    parts = as_list(content.get("parts"))
    if not parts:
        raise wrong_field(f"{where}.parts", "contents.parts must not be empty.")
    for number, part in enumerate(parts):
        _check_part(as_dict(part), f"{where}.parts[{number}]")


def _check_part(part: dict[str, Any], where: str) -> None:
    for name in part:
        if name not in _PART:
            raise unknown_name(name, where)
    if not _DATA & part.keys():
        raise wrong_field(f"{where}.data", "required oneof field 'data' must have one initialized")
    if part.get("text") == "" and "thoughtSignature" not in part:
        raise wrong(
            "Unable to submit request because it has an empty text parameter. Add a value to the "
            "parameter and try again."
        )
    signature = part.get("thoughtSignature")
    if signature is not None and signature not in _SKIPS and not is_sealed("google", signature):
        raise wrong("Corrupted thought signature.")
    if "functionCall" in part:
        _check_function(as_dict(part["functionCall"]), _CALL, "args", f"{where}.function_call")
    if "functionResponse" in part:
        response = as_dict(part["functionResponse"])
        _check_function(response, _RESPONSE, "response", f"{where}.function_response")
        if "response" not in response:
            raise wrong_field(f"{where}.function_response.response", "response is not specified")


def _check_function(
    function: dict[str, Any], known: frozenset[str], field: str, where: str
) -> None:
    for name in function:
        if name not in known:
            raise unknown_name(name, where)
    if not _NAME.fullmatch(as_str(function.get("name"))):
        raise wrong_field(f"{where}.name", "Name cannot be empty.")
    value = function.get(field, {})
    if not isinstance(value, dict):
        raise wrong(
            f"Invalid value at '{where}.{field}' "
            f'(type.googleapis.com/google.protobuf.Struct), "{value}"'
        )


def _count(content: dict[str, Any], field: str) -> int:
    return sum(field in part for part in dicts(content.get("parts")))


def _check_calls(contents: list[dict[str, Any]]) -> None:
    """Calls are answered in the very next turn, all of them in that one turn."""
    for index, content in enumerate(contents):
        calls, responses = _count(content, "functionCall"), _count(content, "functionResponse")
        before = _count(contents[index - 1], "functionCall") if index else 0
        if responses and not before:
            raise wrong(
                "Please ensure that function response turn comes immediately after a function "
                "call turn."
            )
        if before and responses != before:
            raise wrong(
                "Please ensure that the number of function response parts is equal to the number "
                "of function call parts of the function call turn."
            )
        if calls and (index == 0 or contents[index - 1].get("role") == "model"):
            raise wrong(
                "Please ensure that function call turn comes immediately after a user turn or "
                "after a function response turn."
            )


def _check_signed(contents: list[dict[str, Any]]) -> None:
    """In the current turn, the first call of every step carries its signature."""
    start = 0
    for index, content in enumerate(contents):
        if content.get("role") != "model" and any(
            as_str(part.get("text")) for part in dicts(content.get("parts"))
        ):
            start = index
    for index in range(start, len(contents)):
        calls = [p for p in dicts(contents[index].get("parts")) if "functionCall" in p]
        if calls and not calls[0].get("thoughtSignature"):
            name = as_dict(calls[0]["functionCall"]).get("name")
            raise wrong(
                "Function call is missing a thought_signature in functionCall parts. This is "
                "required for tools to work correctly, and missing thought_signature may lead to "
                f"degraded model performance. Additional data, function call `default_api:{name}` "
                f", position {index}. Please refer to "
                "https://ai.google.dev/gemini-api/docs/thought-signatures for more details."
            )
