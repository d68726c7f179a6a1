"""Checks that Chat Completions and Responses share."""

import re
from typing import Any

from aibridge_sandbox.call import Call
from aibridge_sandbox.openai import wrong
from aibridge_sandbox.refusal import Refusal
from aibridge_sandbox.shape import as_dict, as_list, as_number, as_str
from aibridge_sandbox.world.catalogue import Model

_NAME = re.compile(r"[a-zA-Z0-9_-]+")
_NAME_CHARACTERS_MAX = 64


def known_model(call: Call, *, embedding: bool = False) -> Model:
    """The model; in lenient mode any id is one."""
    model = call.model
    if not call.model_id:
        raise Refusal(400, "you must provide a model parameter")
    if model is not None and (model.embedding is embedding or not call.strict):
        return model
    if not call.strict:
        return Model(id=call.model_id, vendor=call.vendor, embedding=embedding)
    if model is not None:
        raise Refusal(403, "You are not allowed to sample from this model")
    raise Refusal(
        404,
        f"The model `{call.model_id}` does not exist or you do not have access to it.",
        code="model_not_found",
    )


def check_range(body: dict[str, Any], name: str, low: float, high: float) -> None:
    """An absent number is in range."""
    value = body.get(name)
    if value is None:
        return
    number = as_number(value)
    if number is None:
        raise wrong.wrong_type(name, "a decimal")
    if not low <= number <= high:
        raise wrong.out_of_range(name, number, low, high)


def check_sampling(call: Call, model: Model, effort: str) -> None:
    """Reasoning models take only the default, unless they do not reason."""
    for name, high in (("temperature", 2.0), ("top_p", 1.0)):
        check_range(call.body, name, 0.0, high)
        value = call.body.get(name)
        if value is not None and value != 1 and not model.sampling and effort != "none":
            raise wrong.unsupported_value(name, value)


def check_tool_name(name: Any, param: str) -> None:
    """Present, at most 64 characters, letters, digits, `_` and `-`."""
    if not as_str(name):
        raise wrong.missing(param)
    if len(name) > _NAME_CHARACTERS_MAX:
        raise wrong.too_long(param, _NAME_CHARACTERS_MAX, len(name))
    if not _NAME.fullmatch(name):
        raise wrong.invalid(
            param,
            f"Invalid '{param}': string does not match pattern. "
            "Expected a string that matches the pattern '^[a-zA-Z0-9_-]+$'.",
        )


def check_parameters(function: dict[str, Any], param: str) -> None:
    """A function's parameters; with `strict` OpenAI demands a closed schema."""
    parameters = function.get("parameters")
    if parameters is None:
        return
    name = as_str(function.get("name"))
    kind = as_dict(parameters).get("type")
    if kind != "object":
        raise wrong.invalid(
            f"{param}.parameters",
            f"Invalid schema for function '{name}': schema must be a JSON Schema of "
            f"'type: \"object\"', got 'type: \"{kind}\"'.",
            "invalid_function_parameters",
        )
    if function.get("strict") is True:
        check_closed(
            as_dict(parameters),
            f"function '{name}'",
            f"{param}.parameters",
            "invalid_function_parameters",
        )


def check_closed(schema: dict[str, Any], owner: str, param: str, code: str) -> None:
    """Strict schemas close every object and require every key."""
    _check_closed(schema, (), f"Invalid schema for {owner}: In context=", param, code)


def _check_closed(
    schema: dict[str, Any], path: tuple[str, ...], opening: str, param: str, code: str
) -> None:
    where = f"({', '.join(repr(name) for name in path)})"
    properties = as_dict(schema.get("properties"))
    if schema.get("type") == "object" or properties:
        if schema.get("additionalProperties") is not False:
            raise wrong.invalid(
                param,
                f"{opening}{where}, 'additionalProperties' is required to be supplied "
                "and to be false.",
                code,
            )
        absent = [name for name in properties if name not in as_list(schema.get("required"))]
        if absent:
            raise wrong.invalid(
                param,
                f"{opening}{where}, 'required' is required to be supplied and to be an array "
                f"including every key in properties. Missing '{absent[0]}'.",
                code,
            )
    for name, inner in properties.items():
        _check_closed(as_dict(inner), (*path, "properties", name), opening, param, code)
    if isinstance(schema.get("items"), dict):
        _check_closed(schema["items"], (*path, "items"), opening, param, code)


def check_response_schema(form: dict[str, Any], param: str) -> None:
    """`name`, `schema` and `strict` of a structured output."""
    if not as_str(form.get("name")):
        raise wrong.missing(f"{param}.name")
    check_tool_name(form.get("name"), f"{param}.name")
    if not isinstance(form.get("schema"), dict):
        raise wrong.missing(f"{param}.schema")
    if form.get("strict") is True:
        owner = f"response_format '{form['name']}'"
        check_closed(form["schema"], owner, f"{param}.schema", "invalid_json_schema")
