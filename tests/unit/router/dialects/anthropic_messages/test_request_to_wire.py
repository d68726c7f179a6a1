"""What the hub's requests look like to a model behind Messages, and what it cannot be told."""

import hashlib
from typing import Any

import pytest
from msgspec import Raw

from aibridge_common.dialect import Dialect
from aibridge_router.canonical.content import (
    Audio,
    Block,
    CacheMark,
    Data,
    Document,
    FileId,
    Image,
    Opaque,
    Refusal,
    State,
    Text,
    Thinking,
    ToolCall,
    ToolResult,
    Url,
)
from aibridge_router.canonical.losses import CannotSay
from aibridge_router.canonical.profile import Profile
from aibridge_router.canonical.request import Sampling, ServerTool, Tool
from tests.unit.router.dialects.anthropic_messages.asking import (
    MODEL,
    asked,
    assistant,
    marked,
    profile,
    read,
    user,
    written,
    written_with_losses,
)

CHAT = Dialect.OPENAI_CHAT
PNG = Data(media_type="image/png", base64="AAAA")
PDF = Data(media_type="application/pdf", base64="AAAA")
BASE64_PNG = {"type": "base64", "media_type": "image/png", "data": "AAAA"}
BASE64_PDF = {"type": "base64", "media_type": "application/pdf", "data": "AAAA"}
TEXT_SOURCE = {"type": "text", "data": "words", "media_type": "text/plain"}

MEMBERS: list[tuple[dict[str, Any], str, Any]] = [
    ({}, "model", MODEL),
    ({}, "max_tokens", 64_000),
    ({"output_tokens_max": 5}, "max_tokens", 5),
    ({"output_tokens_max": 999_999}, "max_tokens", 64_000),
    ({"stream": True}, "stream", True),
    ({"system": [Text(text="Be brief.")]}, "system", [{"type": "text", "text": "Be brief."}]),
    ({"system": [Text(text=" \n")]}, "system", None),
    ({"sampling": Sampling(temperature=1.8)}, "temperature", 1.0),
    ({"sampling": Sampling(temperature=0.0)}, "temperature", 0.0),
    ({"sampling": Sampling(top_p=0.4, top_k=3)}, "top_p", 0.4),
    ({"sampling": Sampling(top_p=0.4, top_k=3)}, "top_k", 3),
    ({"sampling": Sampling(temperature=0.3, top_p=1.0)}, "top_p", None),
    ({"stop": ["a", "b"]}, "stop_sequences", ["a", "b"]),
    (
        {"user": "anna"},
        "metadata",
        {"user_id": hashlib.sha256(b"anna").hexdigest()},
    ),
    ({"user": "5" * 64}, "metadata", {"user_id": "5" * 64}),
    ({"session": "s"}, "metadata", None),
]

DROPPED: list[tuple[dict[str, Any], str]] = [
    ({"sampling": Sampling(seed=4)}, "seed"),
    ({"sampling": Sampling(presence_penalty=1.0)}, "penalties"),
    ({"sampling": Sampling(frequency_penalty=1.0)}, "penalties"),
    ({"sampling": Sampling(temperature=0.2, top_p=0.3)}, "sampling"),
    ({"verbosity": "low"}, "verbosity"),
    ({"stop": [" ", "a"]}, "stop"),
    ({"drops": ["logit_bias"]}, "logit_bias"),
    ({"extras": {CHAT: {"novelty": Raw(b"1")}}}, "extras"),
]

CANNOT: list[tuple[dict[str, Any], dict[str, Any], str]] = [
    ({"choices": 2}, {}, "n"),
    ({"logprobs": 0}, {}, "logprobs"),
    ({"needs": ["previous_response_id"]}, {}, "previous_response_id"),
    ({"stop": ["a", "b", "c", "d", "e"]}, {}, "stop"),
    ({"tools": [Tool(name="f")]}, {"tools": False}, "tools"),
    ({"server_tools": [ServerTool(dialect=CHAT, kind="search", raw=Raw(b"{}"))]}, {}, "tools"),
]

BLOCKS: list[tuple[Block, list[dict[str, Any]]]] = [
    (Text(text="a"), [{"type": "text", "text": "a"}]),
    (Image(source=PNG), [{"type": "image", "source": BASE64_PNG}]),
    (
        Image(source=Data(media_type="image/JPG", base64="AAAA")),
        [{"type": "image", "source": BASE64_PNG | {"media_type": "image/jpeg"}}],
    ),
    (
        Image(source=Url(url="https://a.example/1.png")),
        [{"type": "image", "source": {"type": "url", "url": "https://a.example/1.png"}}],
    ),
    (
        Image(source=FileId(dialect=Dialect.ANTHROPIC_MESSAGES, id="file_1")),
        [{"type": "image", "source": {"type": "file", "file_id": "file_1"}}],
    ),
    (
        Document(source=PDF, title="T"),
        [{"type": "document", "source": BASE64_PDF, "title": "T"}],
    ),
    (Document(text="words"), [{"type": "document", "source": TEXT_SOURCE}]),
    (
        Document(source=Data(media_type="text/markdown", base64="d29yZHM="), title="T"),
        [{"type": "document", "source": TEXT_SOURCE, "title": "T"}],
    ),
    (Refusal(text="No."), [{"type": "text", "text": "No."}]),
]

UNSAYABLE: list[tuple[Block, dict[str, Any]]] = [
    (Audio(source=Data(media_type="audio/wav", base64="AAAA")), {}),
    (Image(source=PNG), {"vision": False}),
    (Image(source=Data(media_type="image/bmp", base64="AAAA")), {}),
    (Image(source=Url(url="gs://bucket/1.png")), {}),
    (Image(source=FileId(dialect=CHAT, id="file_1")), {}),
    (Document(source=PDF), {"documents": False}),
    (Document(source=FileId(dialect=CHAT, id="file_1")), {}),
    (Document(source=Data(media_type="application/msword", base64="AAAA")), {}),
    (Document(source=Data(media_type="text/plain", base64="A")), {}),
]


@pytest.mark.parametrize(("members", "name", "expected"), MEMBERS)
def test_a_member_is_written(members: dict[str, Any], name: str, expected: Any) -> None:
    assert expected == written(asked(**members)).get(name)


@pytest.mark.parametrize(("members", "loss"), DROPPED)
def test_a_loss_is_named(members: dict[str, Any], loss: str) -> None:
    assert (loss,) == written_with_losses(asked(**members))[1]


@pytest.mark.parametrize(("members", "capabilities", "param"), CANNOT)
def test_what_cannot_be_left_out_is_refused(
    members: dict[str, Any], capabilities: dict[str, Any], param: str
) -> None:
    with pytest.raises(CannotSay) as refusal:
        written(asked(**members), profile(**capabilities))

    assert param == refusal.value.param


@pytest.mark.parametrize(("block", "expected"), BLOCKS)
def test_a_block_is_written(block: Block, expected: list[dict[str, Any]]) -> None:
    assert [{"role": "user", "content": expected}] == written(asked(user(block)))["messages"]


@pytest.mark.parametrize(("block", "capabilities"), UNSAYABLE)
def test_a_block_that_cannot_be_said_is_refused(block: Block, capabilities: dict[str, Any]) -> None:
    with pytest.raises(CannotSay) as refusal:
        written(asked(user("Look:"), user(block)), profile(**capabilities))

    assert refusal.value.param == "messages.1"


@pytest.mark.parametrize("block", [Image(source=PNG), Document(source=PDF)])
def test_an_assistant_turn_takes_no_pictures_and_files(block: Block) -> None:
    with pytest.raises(CannotSay):
        written(asked(user("Draw."), assistant(block), user("More.")))


def test_a_text_document_is_told_inline_where_documents_are_not_taken() -> None:
    expected = [{"type": "text", "text": "T\n\nwords"}]
    inline = Document(text="words", title="T")

    by_user = written(asked(user(inline)), profile(documents=False))
    by_model = written(asked(user("Go."), assistant(inline), user("On.")))
    assert expected == by_user["messages"][0]["content"]
    assert expected == by_model["messages"][1]["content"]


def test_image_detail_is_lost() -> None:
    detailed = asked(user(Image(source=PNG, detail="low")))

    assert written_with_losses(detailed)[1] == ("image_detail",)


class TestSamplingOfAModelThatFixesIt:
    TARGET = profile(sampling=False)

    def test_it_is_left_out(self) -> None:
        body, losses = written_with_losses(
            asked(sampling=Sampling(temperature=0.5, top_p=0.5, top_k=5)), self.TARGET
        )

        assert ({"temperature", "top_p", "top_k"} & set(body), losses) == (set(), ("sampling",))

    def test_defaults_are_no_loss(self) -> None:
        defaults = asked(sampling=Sampling(temperature=1.0, top_p=1.0))

        assert written_with_losses(defaults, self.TARGET)[1] == ()


def test_a_model_without_stop_sequences_gets_none() -> None:
    body, losses = written_with_losses(asked(stop=["END"]), profile(stop_max=0))

    assert ("stop_sequences" in body, losses) == (False, ("stop",))


class TestMembersOfThisDialect:
    def test_they_go_back(self) -> None:
        body, losses = written_with_losses(read(container="c1", context_management={"edits": [1]}))

        assert (body["container"], body["context_management"], losses) == (
            "c1",
            {"edits": [1]},
            (),
        )

    def test_the_billing_header_goes_to_its_vendor_only(self) -> None:
        asks = read(system=[{"type": "text", "text": "x-anthropic-billing-header: cc_version=2;"}])

        assert "system" in written(asks, profile("anthropic"))
        assert "system" not in written(asks, profile("deepseek"))

    def test_blocks_we_do_not_know_go_back(self) -> None:
        upload = {"type": "container_upload", "file_id": "f"}
        asks = read(messages=[{"role": "user", "content": [upload]}])

        assert [upload] == written(asks)["messages"][0]["content"]

    def test_those_of_others_do_not(self) -> None:
        body, losses = written_with_losses(
            asked(user("Hi", Opaque(dialect=CHAT, kind="x", raw=Raw(b"{}"))))
        )

        assert (
            body["messages"][0]["content"],
            losses,
        ) == ([{"type": "text", "text": "Hi"}], ("extras",))


class TestThinkingInHistory:
    @staticmethod
    def said(block: Thinking, target: Profile | None = None) -> tuple[list[Any], tuple[str, ...]]:
        body, losses = written_with_losses(
            asked(user("Go."), assistant(block, "Well."), user("On.")), target
        )
        return body["messages"][1]["content"][:-1], losses

    def test_the_providers_own_goes_back(self) -> None:
        block = Thinking(text="hm", state=State(provider="anthropic", data="sig"))

        assert self.said(block) == (
            [{"type": "thinking", "thinking": "hm", "signature": "sig"}],
            (),
        )

    def test_so_does_what_it_hid(self) -> None:
        block = Thinking(redacted=True, state=State(provider="anthropic", data="zz"))

        assert self.said(block) == ([{"type": "redacted_thinking", "data": "zz"}], ())

    @pytest.mark.parametrize("state", [None, State(provider="openai", data="x")])
    def test_foreign_thinking_is_left_out(self, state: State | None) -> None:
        assert self.said(Thinking(text="hm", state=state)) == ([], ("thinking",))

    def test_the_same_dialect_at_another_provider_is_foreign(self) -> None:
        block = Thinking(text="hm", state=State(provider="anthropic", data="sig"))

        assert self.said(block, profile("deepseek")) == ([], ("thinking",))


class TestCacheMarkers:
    MARKED = CacheMark()
    HOUR = CacheMark(lifetime="1h")

    def test_what_was_asked_for_is_written(self) -> None:
        call = ToolCall(id="a", name="f", arguments="{}", cache=self.MARKED)
        result = ToolResult(call_id="a", blocks=[Text(text="ok", cache=self.HOUR)])
        body = marked(
            asked(
                user("Go."),
                assistant(call),
                user(result),
                tools=[Tool(name="f", cache=self.HOUR)],
                system=[Text(text="A", cache=self.MARKED)],
            )
        )

        hour, minutes = {"type": "ephemeral", "ttl": "1h"}, {"type": "ephemeral"}
        answered = body["messages"][2]["content"][0]
        assert (
            body["tools"][0]["cache_control"],
            body["system"][0]["cache_control"],
            body["messages"][1]["content"][0]["cache_control"],
            answered["content"][0]["cache_control"],
        ) == (hour, minutes, minutes, hour)
        assert "cache_control" not in answered

    def test_of_too_many_the_last_four_stay(self) -> None:
        texts = [Text(text=word, cache=self.MARKED) for word in "abcdef"]
        content = marked(asked(user(*texts)))["messages"][0]["content"]

        assert ["cache_control" in block for block in content] == [
            False,
            False,
            True,
            True,
            True,
            True,
        ]

    def test_without_any_what_repeats_gets_one(self) -> None:
        body = marked(
            asked(
                user("One", "Two"),
                assistant("Three"),
                user("Four"),
                tools=[Tool(name="f"), Tool(name="g")],
                system=[Text(text="A"), Text(text="B")],
            )
        )

        marks = [
            ["cache_control" in each for each in part]
            for part in (
                body["tools"],
                body["system"],
                *(message["content"] for message in body["messages"]),
            )
        ]
        assert marks == [[False, True], [False, True], [False, False], [False], [True]]
