"""Turns become messages that the vendor takes, whatever order another dialect allows."""

from typing import Any

import pytest
from msgspec import Raw

from aibridge_common.dialect import Dialect
from aibridge_router.canonical.content import Image, Opaque, Text, ToolCall, ToolResult, Url
from aibridge_router.canonical.losses import CannotSay
from aibridge_router.canonical.request import Tool, Turn
from tests.unit.router.dialects.anthropic_messages.asking import (
    asked,
    assistant,
    profile,
    system,
    user,
    written,
    written_with_losses,
)

TOOLS = [Tool(name="f")]


def call(identifier: str, arguments: str = "{}", *, custom: bool = False) -> ToolCall:
    return ToolCall(id=identifier, name="f", arguments=arguments, custom=custom)


def result(identifier: str, text: str = "ok") -> ToolResult:
    return ToolResult(call_id=identifier, blocks=[Text(text=text)])


def brief(block: dict[str, Any]) -> str:
    """A block in one word."""
    match block:
        case {"type": "text", "text": text}:
            return text
        case {"type": "tool_use", "id": identifier}:
            return f"?{identifier}"
        case {"type": "tool_result", "tool_use_id": identifier, "content": [{"text": text}]}:
            return f"!{identifier} {text}"
        case _:
            return str(block["type"])


def messages(*turns: Turn, **capabilities: Any) -> list[str]:
    """The conversation as `u:` and `a:` lines."""
    body = written(asked(*turns, tools=TOOLS), profile(**capabilities))
    return [
        f"{message['role'][0]}: {' | '.join(brief(block) for block in message['content'])}"
        for message in body["messages"]
    ]


REMINDER = "<system-reminder>\nNow.\n</system-reminder>"

ORDERS: list[tuple[str, list[Turn], list[str]]] = [
    ("one side's turns are merged", [user("A"), user("B")], ["u: A | B"]),
    (
        "the user comes first",
        [assistant("A"), user("B")],
        ["u: .", "a: A", "u: B"],
    ),
    ("someone must say something", [user()], ["u: ."]),
    ("blank texts are left out", [user("", " \n", "A")], ["u: A"]),
    (
        "a turn of nothing is left out",
        [user("A"), assistant(" "), user("B")],
        ["u: A", "u: B"],
    ),
    (
        "results come first and together",
        [
            user("A"),
            assistant(call("1"), call("2")),
            user("B", result("2")),
            user(result("1"), "C"),
        ],
        ["u: A", "a: ?1 | ?2", "u: !2 ok | !1 ok | B | C"],
    ),
    (
        "calls of several turns are one message",
        [user("A"), assistant("B"), assistant(call("1")), user(result("1"))],
        ["u: A", "a: B | ?1", "u: !1 ok"],
    ),
    (
        "a call without an answer gets one",
        [user("A"), assistant(call("1"), call("2")), user(result("1"), "B")],
        ["u: A", "a: ?1 | ?2", "u: !1 ok | !2 [no output] | B"],
    ),
    (
        "so does the last of all",
        [user("A"), assistant(call("1"))],
        ["u: A", "a: ?1", "u: !1 [no output]"],
    ),
    (
        "a result without its call is left out",
        [user(result("0"), "A"), assistant("B"), user(result("1"), "C")],
        ["u: A", "a: B", "u: C"],
    ),
    (
        "a second result of one call is left out",
        [user("A"), assistant(call("1")), user(result("1"), result("1", "again"))],
        ["u: A", "a: ?1", "u: !1 ok"],
    ),
    (
        "a prefill loses the white space at its end",
        [user("A"), assistant("B \n")],
        ["u: A", "a: B"],
    ),
    (
        "instructions are a reminder",
        [user("A"), system("Now."), assistant("B"), user("C")],
        [f"u: A | {REMINDER}", "a: B", "u: C"],
    ),
    (
        "a reminder does not come before results",
        [user("A"), assistant(call("1")), system("Now."), user(result("1"))],
        ["u: A", "a: ?1", f"u: !1 ok | {REMINDER}"],
    ),
]

FOREIGN = Opaque(dialect=Dialect.OPENAI_CHAT, kind="x", raw=Raw(b"{}"))

IN_PLACE: list[tuple[str, list[Turn], list[str]]] = [
    (
        "instructions follow the user",
        [user("A"), system("Now."), assistant("B"), user("C"), system("Then.")],
        ["u: A", "s: Now.", "a: B", "u: C", "s: Then."],
    ),
    (
        "they wait for what the user says",
        [user("A"), assistant(call("1")), system("Now."), user(result("1"))],
        ["u: A", "a: ?1", "u: !1 ok", "s: Now."],
    ),
    (
        "without a user they are a reminder",
        [user("A"), assistant("B"), system("Now."), assistant("C"), user("D")],
        ["u: A", "a: B", f"u: {REMINDER}", "a: C", "u: D"],
    ),
    ("the user comes first even then", [system("Now.")], [f"u: {REMINDER}"]),
]


@pytest.mark.parametrize(
    ("turns", "expected"), [row[1:] for row in ORDERS], ids=[r[0] for r in ORDERS]
)
def test_messages(turns: list[Turn], expected: list[str]) -> None:
    assert expected == messages(*turns)


@pytest.mark.parametrize(
    ("turns", "expected"), [row[1:] for row in IN_PLACE], ids=[r[0] for r in IN_PLACE]
)
def test_messages_of_a_model_that_takes_instructions_in_place(
    turns: list[Turn], expected: list[str]
) -> None:
    assert expected == messages(*turns, system_mid=True)


def test_a_user_that_says_nothing_sayable_makes_instructions_a_reminder() -> None:
    turns = [user("A"), assistant("B"), user(FOREIGN), system("Now.")]

    assert ["u: A", "a: B", f"u: {REMINDER}"] == messages(*turns, system_mid=True)


def test_instructions_that_are_no_text_are_left_out() -> None:
    assert messages(user("A"), system(FOREIGN)) == ["u: A"]


def test_orphans_are_named() -> None:
    assert written_with_losses(asked(user("A", result("0"))))[1] == ("orphans",)


def test_a_model_without_prefill_does_not_continue_an_assistant() -> None:
    with pytest.raises(CannotSay) as refusal:
        messages(user("A"), assistant("B"), prefill=False)

    assert refusal.value.param == "messages.1"


class TestIds:
    def test_those_that_the_vendor_refuses_are_digested_alike(self) -> None:
        body = written(asked(user("A"), assistant(call("a b")), user(result("a b")), tools=TOOLS))
        asks, answers = (body["messages"][n]["content"][0] for n in (1, 2))

        assert asks["id"] == answers["tool_use_id"]
        assert asks["id"].startswith("tc_")

    def test_those_that_repeat_are_told_apart(self) -> None:
        turns = [user("A")]
        for word in ("one", "two"):
            turns += [assistant(call("call_0"), call("call_0"))]
            turns += [user(result("call_0", word), result("call_0", word + "!"))]
        body = written(asked(*turns, tools=TOOLS))

        said = [message["content"] for message in body["messages"][1:]]
        asks = [block["id"] for content in said[::2] for block in content]
        answers = [block["tool_use_id"] for content in said[1::2] for block in content]
        assert asks == answers
        assert len(set(asks)) == 4


class TestCalls:
    @staticmethod
    def argument(block: ToolCall) -> Any:
        body = written(asked(user("A"), assistant(block), user(result(block.id)), tools=TOOLS))
        return body["messages"][1]["content"][0]["input"]

    @pytest.mark.parametrize("nothing", ["", "  ", "{}"])
    def test_no_arguments_are_an_empty_object(self, nothing: str) -> None:
        assert self.argument(call("1", nothing)) == {}

    def test_free_text_is_a_member(self) -> None:
        assert self.argument(call("1", "*** patch", custom=True)) == {"input": "*** patch"}

    @pytest.mark.parametrize("broken", ['{"a":', "[]", "null", "sorry"])
    def test_arguments_that_are_no_object_are_refused(self, broken: str) -> None:
        with pytest.raises(CannotSay) as refusal:
            self.argument(call("1", broken))

        assert refusal.value.param == "messages.1"

    def test_a_result_keeps_its_pictures_and_its_failure(self) -> None:
        picture = Image(source=Url(url="https://a.example/1.png"))
        answer = ToolResult(call_id="1", blocks=[Text(text="See:"), picture], is_error=True)
        body = written(asked(user("A"), assistant(call("1")), user(answer), tools=TOOLS))

        assert body["messages"][2]["content"][0] == {
            "type": "tool_result",
            "tool_use_id": "1",
            "is_error": True,
            "content": [
                {"type": "text", "text": "See:"},
                {"type": "image", "source": {"type": "url", "url": "https://a.example/1.png"}},
            ],
        }

    def test_an_empty_result_has_no_content(self) -> None:
        answer = ToolResult(call_id="1", blocks=[Text(text="")])
        body = written(asked(user("A"), assistant(call("1")), user(answer), tools=TOOLS))

        assert body["messages"][2]["content"][0] == {"type": "tool_result", "tool_use_id": "1"}
