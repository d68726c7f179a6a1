"""What the dialect can say comes back unchanged, and no body brings the codec down."""

import json
from pathlib import Path
from typing import Any

import msgspec
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from aibridge_common.errors import InvalidRequest
from aibridge_router.canonical.losses import Losses
from aibridge_router.canonical.request import Request
from aibridge_router.dialects.anthropic_messages.codec import CODEC
from tests.unit.router.dialects.anthropic_messages.asking import profile, unmarked, written
from tests.unit.router.dialects.anthropic_messages.strategies import SAYS_ALL, requests
from tests.unit.router.dialects.samples import SAMPLES

REQUESTS = sorted((SAMPLES / "anthropic_messages" / "requests").glob("*.json"))


@settings(max_examples=80, deadline=None)
@given(requests())
def test_a_request_comes_back_from_the_wire(request: Request) -> None:
    losses = Losses()
    body = CODEC.request_to_wire(request, profile(**SAYS_ALL), losses)

    assert (CODEC.request_from_wire(body), losses.names) == (request, ())


@pytest.mark.parametrize("path", REQUESTS, ids=lambda path: path.stem)
def test_what_a_client_sent_means_the_same_once_it_was_written_again(path: Path) -> None:
    body = unmarked(msgspec.json.decode(path.read_bytes()))
    read = CODEC.request_from_wire(msgspec.json.encode(body))

    again = CODEC.request_from_wire(msgspec.json.encode(written(read, profile(**SAYS_ALL))))

    # Who asks is told as a digest, and the session has no member of its own.
    assert msgspec.structs.replace(read, user=again.user, session=None) == again


MEMBERS = [
    "model",
    "messages",
    "max_tokens",
    "system",
    "tools",
    "tool_choice",
    "thinking",
    "output_config",
    "output_format",
    "metadata",
    "stop_sequences",
    "temperature",
    "stream",
    "cache_control",
    "role",
    "content",
    "type",
    "text",
    "source",
    "id",
    "name",
    "input",
    "tool_use_id",
    "signature",
    "data",
    "media_type",
    "url",
    "title",
    "citations",
    "format",
    "schema",
    "effort",
    "budget_tokens",
    "clear_at",
    "user_id",
    "input_schema",
]
WORDS = [
    "user",
    "assistant",
    "system",
    "text",
    "image",
    "document",
    "thinking",
    "redacted_thinking",
    "tool_use",
    "tool_result",
    "search_result",
    "tool_reference",
    "base64",
    "url",
    "file",
    "content",
    "ephemeral",
    "auto",
    "any",
    "none",
    "tool",
    "enabled",
    "adaptive",
    "json_schema",
    "web_search_20250305",
]
_VALUES = st.recursive(
    st.none()
    | st.booleans()
    | st.integers(-(2**70), 2**70)
    | st.floats(allow_nan=False)
    | st.sampled_from(WORDS)
    | st.text(max_size=5),
    lambda inner: (
        st.lists(inner, max_size=3)
        | st.dictionaries(st.sampled_from(MEMBERS) | st.text(max_size=5), inner, max_size=5)
    ),
    max_leaves=20,
)
_MESSAGE = st.fixed_dictionaries(
    {"role": st.sampled_from(["user", "assistant", "system"])},
    optional={"content": st.lists(_VALUES, max_size=3) | _VALUES},
)


@settings(max_examples=150, deadline=None)
@given(
    st.dictionaries(st.sampled_from(MEMBERS), _VALUES, max_size=6), st.lists(_MESSAGE, max_size=3)
)
def test_any_object_is_a_request_or_refused(members: dict[str, Any], messages: list[Any]) -> None:
    body = {"model": "m", "messages": messages} | members
    try:
        request = CODEC.request_from_wire(json.dumps(body).encode())
    except InvalidRequest:
        return
    assert isinstance(request, Request)


@pytest.mark.parametrize(
    "body", [b"", b"[]", b"null", b"{", b'{"model":"m\xff"}', b'{"model":"\\ud800"}', b"\xff\xfe"]
)
def test_what_is_no_object_is_refused(body: bytes) -> None:
    with pytest.raises(InvalidRequest):
        CODEC.request_from_wire(body)


@settings(max_examples=50, deadline=None)
@given(requests(), st.binary(min_size=1, max_size=3), st.integers(0, 10_000))
def test_a_body_with_broken_bytes_is_a_request_or_refused(
    request: Request, noise: bytes, place: int
) -> None:
    body = CODEC.request_to_wire(request, profile(**SAYS_ALL), Losses())
    at = place % len(body)
    try:
        CODEC.request_from_wire(body[:at] + noise + body[at + len(noise) :])
    except InvalidRequest:
        return
