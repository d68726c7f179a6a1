"""Routing reads a few fields and names the one that is wrong."""

import json
import time
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from aibridge_common.dialect import Dialect
from aibridge_common.errors import InvalidRequest
from aibridge_router.dialects.peek import Head, peek, peek_gemini

NAMED = [Dialect.OPENAI_CHAT, Dialect.OPENAI_RESPONSES, Dialect.ANTHROPIC_MESSAGES, None]
LIMIT = {
    Dialect.OPENAI_CHAT: "max_tokens",
    Dialect.OPENAI_RESPONSES: "max_output_tokens",
    Dialect.ANTHROPIC_MESSAGES: "max_tokens",
}


def body(**fields: Any) -> bytes:
    return json.dumps({"model": "m", **fields}).encode()


def refused(dialect: Dialect | None, body: bytes) -> InvalidRequest:
    with pytest.raises(InvalidRequest) as refusal:
        peek(dialect, body)
    return refusal.value


class TestEveryDialect:
    @pytest.mark.parametrize("dialect", NAMED)
    def test_the_model_is_enough(self, dialect: Dialect | None) -> None:
        assert peek(dialect, body()) == Head(model="m")

    @pytest.mark.parametrize("dialect", NAMED)
    def test_null_is_absent(self, dialect: Dialect | None) -> None:
        assert peek(dialect, body(stream=None)) == Head(model="m")

    @pytest.mark.parametrize("dialect", NAMED)
    @pytest.mark.parametrize("spaces", [b"", b" \r\n\t"])
    def test_what_is_not_looked_at_may_be_anything(
        self, dialect: Dialect | None, spaces: bytes
    ) -> None:
        rest = b'"messages":"no","x":[{"model":1}],"n2":1e400}'

        assert peek(dialect, spaces + b'{"model":"m",' + rest).model == "m"

    @pytest.mark.parametrize("dialect", LIMIT)
    def test_its_output_limit_is_read(self, dialect: Dialect) -> None:
        head = peek(dialect, body(**{LIMIT[dialect]: 99}))

        assert head.output_tokens_max == 99

    @pytest.mark.parametrize("dialect", LIMIT)
    @pytest.mark.parametrize("limit", [0, -1, "9", 1.5, 10**12, True])
    def test_a_wrong_output_limit_is_named(self, dialect: Dialect, limit: Any) -> None:
        name = LIMIT[dialect]
        refusal = refused(dialect, body(**{name: limit}))

        assert refusal.param == name
        assert refusal.message.startswith(f"{name}: Expected ")

    @pytest.mark.parametrize("dialect", NAMED)
    def test_a_missing_model_is_named(self, dialect: Dialect | None) -> None:
        refusal = refused(dialect, b'{"stream":true}')

        assert (refusal.param, refusal.message) == ("model", "model: Field required")

    @pytest.mark.parametrize("dialect", NAMED)
    @pytest.mark.parametrize("model", [None, 1, "", "x" * 201, ["m"]])
    def test_a_wrong_model_is_named(self, dialect: Dialect | None, model: Any) -> None:
        assert refused(dialect, body(model=model)).param == "model"

    @pytest.mark.parametrize("dialect", NAMED)
    def test_a_wrong_stream_is_named(self, dialect: Dialect | None) -> None:
        assert refused(dialect, body(stream="yes")).param == "stream"

    @pytest.mark.parametrize("dialect", NAMED)
    @pytest.mark.parametrize(
        ("junk", "message"),
        [
            (b"", "the body is empty; a JSON object is expected"),
            (b"{", "the body is not valid JSON: "),
            (b'{"model":"m"} x', "the body is not valid JSON: "),
            (b'{"model":"\xff"}', "the body is not valid JSON: "),
            (b"[]", "the body: Expected `object`, got `array`"),
            (b"null", "the body: Expected `object`, got `null`"),
            (b"[" * 200_000, "the body: Expected `object`, got `array`"),
            (b'{"model":"m","x":' * 200_000, "the body nests too deep"),
        ],
        ids=lambda value: repr(value)[:24],
    )
    def test_junk_is_refused_in_words(
        self, dialect: Dialect | None, junk: bytes, message: str
    ) -> None:
        assert refused(dialect, junk).message.startswith(message)

    @pytest.mark.parametrize("dialect", NAMED)
    def test_two_models_are_refused(self, dialect: Dialect | None) -> None:
        refusal = refused(dialect, b'{"model":"a","x":{"model":"c"},"model":"b"}')

        assert (refusal.param, refusal.message) == ("model", "model is given twice")

    @pytest.mark.parametrize("dialect", NAMED)
    def test_a_decoder_that_runs_out_of_stack_is_a_refusal(self, dialect: Dialect | None) -> None:
        refusal = refused(dialect, b'{"model":"m","x":' + b"[" * 100_000 + b"]" * 100_000 + b"}")

        assert refusal.message == "the body nests too deep"


class TestChat:
    def test_the_newer_limit_wins(self) -> None:
        head = peek(Dialect.OPENAI_CHAT, body(max_tokens=10, max_completion_tokens=20))

        assert head.output_tokens_max == 20

    def test_choices_are_read(self) -> None:
        assert peek(Dialect.OPENAI_CHAT, body(n=8)).choices == 8

    @pytest.mark.parametrize("n", [0, 9, "2"])
    def test_wrong_choices_are_named(self, n: Any) -> None:
        assert refused(Dialect.OPENAI_CHAT, body(n=n)).param == "n"

    @pytest.mark.parametrize(
        ("fields", "asked", "has_options"),
        [
            ({}, True, False),
            ({"stream": False}, True, False),
            ({"stream": True}, False, False),
            ({"stream": True, "stream_options": None}, False, True),
            ({"stream": True, "stream_options": {}}, False, True),
            ({"stream": True, "stream_options": {"include_usage": None}}, False, True),
            ({"stream": True, "stream_options": {"include_usage": False}}, False, True),
            ({"stream": True, "stream_options": {"include_usage": True}}, True, True),
            ({"stream": True, "stream_options": {"include_obfuscation": True}}, False, True),
        ],
        ids=repr,
    )
    def test_whether_usage_was_asked(
        self, fields: dict[str, Any], asked: bool, has_options: bool
    ) -> None:
        head = peek(Dialect.OPENAI_CHAT, body(**fields))

        assert (head.usage_asked, head.has_stream_options) == (asked, has_options)

    def test_a_wrong_option_is_named_by_its_path(self) -> None:
        refusal = refused(
            Dialect.OPENAI_CHAT, body(stream=True, stream_options={"include_usage": "x"})
        )

        assert refusal.param == "stream_options.include_usage"


class TestResponses:
    def test_background_is_refused(self) -> None:
        assert refused(Dialect.OPENAI_RESPONSES, body(background=True)).param == "background"

    def test_foreground_is_served(self) -> None:
        assert peek(Dialect.OPENAI_RESPONSES, body(background=False)) == Head(model="m")


class TestGemini:
    @pytest.mark.parametrize("stream", [False, True])
    def test_the_path_names_model_and_stream(self, stream: bool) -> None:
        assert peek_gemini(b"{}", "g", stream=stream) == Head(model="g", stream=stream)

    @pytest.mark.parametrize("outer", ["generationConfig", "generation_config"])
    @pytest.mark.parametrize("limit", ["maxOutputTokens", "max_output_tokens"])
    @pytest.mark.parametrize("count", ["candidateCount", "candidate_count"])
    def test_the_configuration_is_read_in_both_spellings(
        self, outer: str, limit: str, count: str
    ) -> None:
        config = json.dumps({outer: {limit: 50, count: 3, "temperature": 0}}).encode()
        head = peek_gemini(config, "g", stream=False)

        assert (head.output_tokens_max, head.choices) == (50, 3)

    def test_the_larger_of_two_spellings_counts(self) -> None:
        config = (
            b'{"generationConfig":{"candidateCount":1},"generation_config":{"candidate_count":4}}'
        )

        assert peek_gemini(config, "g", stream=False).choices == 4

    @pytest.mark.parametrize("field", ["maxOutputTokens", "candidateCount"])
    def test_a_wrong_field_is_named_by_its_path(self, field: str) -> None:
        with pytest.raises(InvalidRequest) as refusal:
            peek_gemini(json.dumps({"generationConfig": {field: 0}}).encode(), "g", stream=False)

        assert refusal.value.param == f"generationConfig.{field}"

    @pytest.mark.parametrize("junk", [b"", b"{", b"[]", b"[" * 65 + b"]" * 65, b"[" * 200_000])
    def test_junk_is_refused(self, junk: bytes) -> None:
        with pytest.raises(InvalidRequest):
            peek_gemini(junk, "g", stream=False)

    def test_a_decoder_that_runs_out_of_stack_is_a_refusal(self) -> None:
        with pytest.raises(InvalidRequest, match="nests too deep"):
            peek_gemini(b'{"x":' + b"[" * 100_000 + b"]" * 100_000 + b"}", "g", stream=False)


JSON = st.recursive(
    st.none() | st.integers() | st.text(alphabet='[]{}"\\ a:,model'),
    lambda inner: (
        st.lists(inner, max_size=3)
        | st.dictionaries(st.text(alphabet='[]{}"\\a'), inner, max_size=3)
    ),
    max_leaves=20,
)


def model_twice(body: bytes) -> bool:
    try:
        peek(None, body)
    except InvalidRequest as refusal:
        return refusal.message == "model is given twice"
    return False


class TestTwoModels:
    @given(value=st.dictionaries(st.text(alphabet='[]{}"\\model'), JSON, max_size=4))
    def test_an_encoder_never_repeats(self, value: dict[str, Any]) -> None:
        assert not model_twice(json.dumps(value).encode())

    @given(value=st.dictionaries(st.text(alphabet='[]{}"\\a'), JSON, min_size=1, max_size=4))
    def test_two_are_found_whatever_stands_between(self, value: dict[str, Any]) -> None:
        between = json.dumps(value).encode()[1:-1]

        assert model_twice(b'{"model":"a",' + between + b',"model":"b"}')

    def test_names_inside_tools_are_not_the_requests_own(self) -> None:
        tools = b'"tools":[{"model":{"model":1}},{"model":2}]'

        assert not model_twice(b"{" + tools + b',"model":"a","metadata":{"model":"b"}}')

    @pytest.mark.parametrize(
        "text",
        [
            b'\\"model\\":\\"b\\"',
            b'say \\"model',
            b"\\\\",
            b"\\\\\\\\",
            b'\\\\\\"model\\\\\\":',
            b"{{{[[[",
        ],
    )
    def test_names_inside_strings_are_text(self, text: bytes) -> None:
        once = b'{"a":"' + text + b'","model":"x","b":"' + text + b'"'

        assert not model_twice(once + b"}")
        assert model_twice(once + b',"model":"y"}')

    def test_a_value_is_not_a_name(self) -> None:
        assert not model_twice(b'{"model":"model","type":"model","x":["model","model"]}')

    def test_space_before_the_colon_hides_nothing(self) -> None:
        assert model_twice(b'{"model":"a","model"' + b" \n" * 200 + b':"b"}')

    @pytest.mark.parametrize("name", [rb"mod\u0065l", rb"\u006d\u006F\u0064\u0065\u006C"])
    def test_escapes_hide_nothing(self, name: bytes) -> None:
        assert model_twice(b'{"model":"a","' + name + b'":"b"}')
        assert model_twice(b'{"' + name + b'":"a","' + name + b'":"b"}')
        assert not model_twice(b'{"model":"a","x":{"' + name + b'":"b"}}')

    def test_many_names_cost_one_read(self) -> None:
        """Reading from the start for each took 0.9 s for 60 kB and grew with the square."""
        body = b'{"model":"a","x":[' + b'{"model":1},' * 100_000 + b"1]}"
        began = time.process_time()

        assert not model_twice(body)
        assert time.process_time() - began < 1
