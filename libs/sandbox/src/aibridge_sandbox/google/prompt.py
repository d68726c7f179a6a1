"""Reads a generateContent body; tolerant, for the checks come after."""

from typing import Any

import msgspec

from aibridge_sandbox.call import Call
from aibridge_sandbox.google.names import normalised
from aibridge_sandbox.reply.ask import ANY_TOOL, Ask, Tool
from aibridge_sandbox.script import find_directives
from aibridge_sandbox.shape import as_dict, as_int, as_list, as_str, dicts
from aibridge_sandbox.world.prefixes import Segment


def tail(body: dict[str, Any]) -> str:
    """The text in which a directive counts."""
    body = normalised(body)
    results = last_results(body)
    return _last_user_text(body) if results is None else results


def segments(body: dict[str, Any]) -> list[Segment]:
    """The prompt, from its most to its least stable part; takes a normalised body."""
    names = ("tools", "systemInstruction")
    head = [Segment(value=body[name]) for name in names if body.get(name)]
    schema = as_dict(body.get("generationConfig")).get("responseJsonSchema")
    if schema is not None:
        head.append(Segment(value=schema))
    return [*head, *(Segment(value=content) for content in contents_of(body))]


def contents_of(body: dict[str, Any]) -> list[dict[str, Any]]:
    """A single content may stand without its list."""
    contents = body.get("contents")
    return [contents] if isinstance(contents, dict) else dicts(contents)


def declarations(body: dict[str, Any]) -> list[dict[str, Any]]:
    """Every declared function, of all tools."""
    found: list[dict[str, Any]] = []
    for tool in dicts(body.get("tools")):
        found.extend(dicts(tool.get("functionDeclarations")))
    return found


def thinks(call: Call, config: dict[str, Any]) -> bool:
    """Asked to think, and able to; a budget of 0 is asked not to."""
    if call.model is None or call.model.thinking not in ("budget", "level"):
        return False
    thinking = as_dict(config.get("thinkingConfig"))
    return bool(thinking) and thinking.get("thinkingBudget") != 0


def shows_thoughts(call: Call) -> bool:
    """Whether thoughts come as parts or only as tokens."""
    config = as_dict(normalised(call.body).get("generationConfig"))
    return as_dict(config.get("thinkingConfig")).get("includeThoughts") is True


def read_ask(call: Call) -> Ask:
    """What the body asks for, in no vendor's words."""
    body = normalised(call.body)
    config = as_dict(body.get("generationConfig"))
    calling = as_dict(as_dict(body.get("toolConfig")).get("functionCallingConfig"))
    allowed = [as_str(name) for name in as_list(calling.get("allowedFunctionNames"))]
    is_json = config.get("responseMimeType") == "application/json"
    schema = config.get("responseJsonSchema") or config.get("responseSchema")
    results = last_results(body)
    forced = (allowed[0] if allowed else ANY_TOOL) if calling.get("mode") == "ANY" else None
    return Ask(
        model=call.model_id,
        vendor_name="Google",
        text=find_directives(_last_user_text(body))[1],
        tools=tuple(
            Tool(
                name=as_str(tool.get("name")),
                schema=as_dict(tool.get("parametersJsonSchema") or tool.get("parameters")),
            )
            for tool in declarations(body)
        ),
        force=forced,
        result=None if results is None else find_directives(results)[1],
        schema=as_dict(schema) if is_json and schema is not None else None,
        json_only=is_json and schema is None,
        tokens_max=as_int(config.get("maxOutputTokens")),
        thinks=thinks(call, config),
        stops=tuple(as_str(stop) for stop in as_list(config.get("stopSequences"))),
    )


def last_results(body: dict[str, Any]) -> str | None:
    """What the functions answered, if the last turn brings responses."""
    contents = contents_of(body)
    parts = dicts(contents[-1].get("parts")) if contents else []
    results = [as_dict(p["functionResponse"]) for p in parts if "functionResponse" in p]
    if not results:
        return None
    return "\n".join(_result_text(as_dict(result.get("response"))) for result in results)


def _result_text(response: dict[str, Any]) -> str:
    """The one string in it, or all of it as JSON."""
    values = list(response.values())
    if len(values) == 1 and isinstance(values[0], str):
        return values[0]
    return msgspec.json.encode(response).decode()


def _last_user_text(body: dict[str, Any]) -> str:
    for content in reversed(contents_of(body)):
        if content.get("role") == "model":
            continue
        texts = [as_str(part.get("text")) for part in dicts(content.get("parts"))]
        if any(texts):
            return "\n".join(text for text in texts if text)
    return ""
