"""A splice changes one member; every other byte stays as the client wrote it."""

import json
from typing import Any

import pytest

from aibridge_common.dialect import Dialect
from aibridge_common.errors import InvalidRequest
from aibridge_router.dialects.peek import peek
from aibridge_router.dialects.splice import ask_for_usage, name_provider, rename_model

NESTED = (
    b'[{"big":123456789012345678901234567890,"price":1.10,"e":1E5,"text":"\\u00e9\\/\xc3\xa9",'
    b'"a":{ "b" :  [1 , 2] , "model":"inner"}}]'
)


def asked(body: bytes) -> bytes:
    return ask_for_usage(body, peek(Dialect.OPENAI_CHAT, body))


class TestRenameModel:
    def test_nested_bytes_stay(self) -> None:
        body = b'{"model":"ours","messages":' + NESTED + b',"temperature":1.10,"seed":1E2}'

        assert rename_model(body, "theirs") == body.replace(b'"ours"', b'"theirs"')

    def test_a_name_is_encoded(self) -> None:
        assert json.loads(rename_model(b'{"model":"a"}', 'x"\\é')) == {"model": 'x"\\é'}

    def test_a_name_that_cannot_be_read_is_refused(self) -> None:
        with pytest.raises(InvalidRequest, match="not valid JSON"):
            rename_model(b'{"model":"a","\xff":1}', "b")


class TestAskForUsage:
    def test_without_options_every_byte_stays(self) -> None:
        body = b' \n{ "model":"m",  "stream": true, "messages":' + NESTED + b" }\n"
        with_usage = asked(body)

        assert with_usage.replace(b'"stream_options":{"include_usage":true},', b"", 1) == body
        assert json.loads(with_usage)["stream_options"] == {"include_usage": True}

    @pytest.mark.parametrize(
        ("said", "sent"),
        [
            (None, {"include_usage": True}),
            ({}, {"include_usage": True}),
            ({"include_usage": None}, {"include_usage": True}),
            ({"include_usage": False}, {"include_usage": True}),
            ({"x": [1.5]}, {"x": [1.5], "include_usage": True}),
        ],
    )
    def test_the_last_word_is_ours(self, said: Any, sent: dict[str, Any]) -> None:
        body = json.dumps({"stream": True, "stream_options": said, "model": "m"}).encode()

        assert json.loads(asked(body)) == {"stream": True, "stream_options": sent, "model": "m"}

    def test_it_is_said_once(self) -> None:
        """A second `stream_options` behind ours would be the one that vendors read."""
        body = b'{"model":"m","stream":true,"stream_options":null}'

        assert asked(body).count(b"stream_options") == 1

    def test_nested_bytes_stay_beside_options(self) -> None:
        body = b'{"model":"m","stream":true,"stream_options":{},"messages":' + NESTED + b"}"

        assert asked(body) == body.replace(b"{}", b'{"include_usage":true}')


class TestNameProvider:
    @pytest.mark.parametrize("document", [b'{"id":"x","n":[{}]}', b' \n{ "id" : "x" }\n'])
    def test_it_comes_first_and_the_rest_stays(self, document: bytes) -> None:
        named = name_provider(document, "openai")

        assert named.startswith(b'{"provider":"openai",')
        assert named.endswith(document.lstrip()[1:])
        assert json.loads(named) == {"provider": "openai", **json.loads(document)}

    @pytest.mark.parametrize("document", [b"{}", b"{ }", b" {\n} "])
    def test_an_empty_object_gets_one_member(self, document: bytes) -> None:
        assert json.loads(name_provider(document, "o")) == {"provider": "o"}

    @pytest.mark.parametrize("document", [b"[1]", b"[DONE]", b"", b"null"])
    def test_what_is_no_object_stays(self, document: bytes) -> None:
        assert name_provider(document, "o") == document
