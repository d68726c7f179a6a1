"""The parts that need no server."""

import json
from typing import Any

import jsonschema
import msgspec
import pytest

from aibridge_sandbox.reply.sample import sample
from aibridge_sandbox.script import directive, find_directives
from aibridge_sandbox.tokens import count_tokens, split_tokens
from aibridge_sandbox.world.catalogue import Catalogue
from aibridge_sandbox.world.seal import is_sealed, seal

SCHEMAS: list[dict[str, Any]] = [
    {"type": "string", "minLength": 20},
    {"type": "string", "maxLength": 3},
    {"type": "string", "pattern": "^[A-Z]{3}$"},
    {"type": "string", "format": "date"},
    {"type": "integer", "exclusiveMinimum": 4, "multipleOf": 5},
    {"type": "number", "maximum": -1.5},
    {"type": ["null", "boolean"]},
    {"type": "array", "items": {"type": "integer"}, "minItems": 2},
    {"anyOf": [{"const": 4}, {"type": "string"}]},
    {"enum": ["x", 1]},
    {
        "$defs": {"leaf": {"type": "object", "properties": {"v": {}}, "required": ["v"]}},
        "type": "object",
        "properties": {"a": {"$ref": "#/$defs/leaf"}, "b": {"type": "string"}},
        "required": ["a"],
    },
    {
        "allOf": [
            {"type": "object", "properties": {"a": {"type": "integer"}}, "required": ["a"]},
            {"properties": {"b": {"type": "string"}}, "required": ["b"]},
        ]
    },
    {},
]


@pytest.mark.parametrize("schema", SCHEMAS)
def test_sample_satisfies_its_schema(schema: dict[str, Any]) -> None:
    jsonschema.validate(sample(schema), schema)


def test_sample_is_least() -> None:
    schema = {"type": "object", "properties": {"a": {}, "b": {}}, "required": ["b"]}

    assert sample(schema, "word") == {"b": "word"}


@pytest.mark.parametrize("text", ["", "abc", "abcd", "abcde", "né 你好 🙂 done", "a\nb"])
def test_tokens_join_to_the_text_and_count_alike(text: str) -> None:
    assert "".join(split_tokens(text)) == text
    assert count_tokens(text) == len(split_tokens(text))


def test_directives_are_found_and_taken_out() -> None:
    first = directive(tool={"args": {"deep": [[{"x": "]]"}]]}})
    second = directive(vendor="google", status=500)
    found, rest = find_directives(f"before {first} between {second} after [[sandbox nothing")

    assert [json.loads(text) for text in found] == [
        {"tool": {"args": {"deep": [[{"x": "]]"}]]}}},
        {"vendor": "google", "status": 500},
    ]
    assert rest == "before  between  after [[sandbox nothing"


def test_directive_checks_its_words() -> None:
    with pytest.raises(msgspec.ValidationError):
        directive(statsu=500)


def test_seals_are_one_vendors_own() -> None:
    native = seal("anthropic", "n", "thought")

    assert is_sealed("anthropic", native, "thought")
    assert not is_sealed("anthropic", native, "other")
    assert not is_sealed("google", native, "thought")
    assert not is_sealed("anthropic", "aib1.openai.xyz", "thought")


def test_catalogue_takes_more_models() -> None:
    catalogue = Catalogue(("google/gemini-9", "anthropic/claude-9=claude-opus-5-5"))
    copied = catalogue.find("anthropic", "claude-9")

    assert copied is not None
    assert copied.thinking == "adaptive"
    assert catalogue.find("google", "gemini-9") is not None
    for word in ("claude-9", "nobody/x", "openai/x=unknown"):
        with pytest.raises(ValueError, match="model"):
            Catalogue((word,))
