"""How much to think, in the words of each kind of model."""

from typing import Any

import pytest

from aibridge_router.canonical.content import State, Text, Thinking, ToolCall, ToolResult
from aibridge_router.canonical.request import Reasoning, Sampling, Tool, ToolChoice
from tests.unit.router.dialects.anthropic_messages.asking import (
    asked,
    assistant,
    profile,
    user,
    written,
    written_with_losses,
)

OWN_STATE = State(provider="anthropic", data="sig")
TOOLS = [Tool(name="f")]
ALL = ("low", "medium", "high", "xhigh", "max")
BUDGET = {"reasoning": "budget"}
ADAPTIVE: dict[str, Any] = {"reasoning": "adaptive", "efforts": ALL}


def enabled(budget_tokens: int) -> dict[str, Any]:
    return {"type": "enabled", "budget_tokens": budget_tokens}


BY_BUDGET: list[tuple[Reasoning, int | None, dict[str, Any] | None, int]] = [
    (Reasoning(effort="off"), None, None, 64_000),
    (Reasoning(budget_tokens=0), None, None, 64_000),
    (Reasoning(effort="minimal"), None, enabled(1024), 64_000),
    (Reasoning(effort="low"), None, enabled(2048), 64_000),
    (Reasoning(effort="medium"), None, enabled(8192), 64_000),
    (Reasoning(effort="high"), None, enabled(24576), 64_000),
    (Reasoning(effort="xhigh"), None, enabled(32_000), 64_000),
    (Reasoning(effort="max"), None, enabled(32_000), 64_000),
    (Reasoning(adaptive=True), None, enabled(24576), 64_000),
    (Reasoning(budget_tokens=-1), None, enabled(24576), 64_000),
    (Reasoning(budget_tokens=5000), None, enabled(5000), 64_000),
    (Reasoning(budget_tokens=10), None, enabled(1024), 64_000),
    (Reasoning(budget_tokens=127_999), 128_000, enabled(63_999), 64_000),
    # An explicit budget stays below the cap, a level leaves half of it, and a tiny cap is raised.
    (Reasoning(budget_tokens=5000), 4000, enabled(3999), 4000),
    (Reasoning(effort="high"), 4000, enabled(2000), 4000),
    (Reasoning(effort="high"), 100, enabled(1024), 1124),
    (Reasoning(effort="low", show=False), None, enabled(2048) | {"display": "omitted"}, 64_000),
    (Reasoning(effort="low", show=True), None, enabled(2048), 64_000),
]

EFFORTS: list[tuple[Reasoning, tuple[str, ...], str | None]] = [
    (Reasoning(adaptive=True), ALL, None),
    (Reasoning(effort="minimal"), ALL, "low"),
    (Reasoning(effort="low"), ALL, "low"),
    (Reasoning(effort="medium"), ALL, "medium"),
    (Reasoning(effort="high"), ALL, "high"),
    (Reasoning(effort="xhigh"), ALL, "xhigh"),
    (Reasoning(effort="max"), ALL, "max"),
    (Reasoning(effort="xhigh"), ("low", "medium", "high"), "high"),
    (Reasoning(effort="max"), ("low", "medium", "high"), "high"),
    (Reasoning(effort="low"), ("medium", "high"), "medium"),
    (Reasoning(effort="low"), (), None),
    (Reasoning(budget_tokens=1000), ALL, "low"),
    (Reasoning(budget_tokens=1025), ALL, "low"),
    (Reasoning(budget_tokens=8192), ALL, "medium"),
    (Reasoning(budget_tokens=24_576), ALL, "high"),
    (Reasoning(budget_tokens=24_577), ALL, "xhigh"),
    (Reasoning(budget_tokens=999_999), ALL, "xhigh"),
    (Reasoning(budget_tokens=-1), ALL, None),
]


@pytest.mark.parametrize(("reasoning", "asked_max", "thinking", "written_max"), BY_BUDGET)
def test_a_model_with_budgets(
    reasoning: Reasoning, asked_max: int | None, thinking: dict[str, Any] | None, written_max: int
) -> None:
    body = written(asked(reasoning=reasoning, output_tokens_max=asked_max), profile(**BUDGET))

    assert (thinking, written_max) == (body.get("thinking"), body["max_tokens"])


@pytest.mark.parametrize(("reasoning", "efforts", "expected"), EFFORTS)
def test_a_model_that_adapts(
    reasoning: Reasoning, efforts: tuple[str, ...], expected: str | None
) -> None:
    body = written(asked(reasoning=reasoning), profile(reasoning="adaptive", efforts=efforts))

    assert body["thinking"] == {"type": "adaptive"}
    assert expected == body.get("output_config", {}).get("effort")


@pytest.mark.parametrize(("show", "display"), [(True, "summarized"), (False, "omitted")])
def test_what_is_shown_is_said(*, show: bool, display: str) -> None:
    body = written(asked(reasoning=Reasoning(adaptive=True, show=show)), profile(**ADAPTIVE))

    assert {"type": "adaptive", "display": display} == body["thinking"]


@pytest.mark.parametrize(
    ("efforts", "expected"), [(ALL, None), (("off", *ALL), {"type": "disabled"})]
)
def test_thinking_is_turned_off_where_the_model_lets_it(
    efforts: tuple[str, ...], expected: dict[str, Any] | None
) -> None:
    body, losses = written_with_losses(
        asked(reasoning=Reasoning(effort="off")), profile(reasoning="adaptive", efforts=efforts)
    )

    assert (expected, ()) == (body.get("thinking"), losses)


def test_a_model_told_by_effort_only_is_not_told_to_think() -> None:
    body = written(asked(reasoning=Reasoning(effort="low")), profile(reasoning="effort"))

    assert ("thinking" in body, body["output_config"]) == (False, {"effort": "low"})


@pytest.mark.parametrize("means", ["none", "level"])
def test_a_model_that_does_not_think_loses_it(means: str) -> None:
    body, losses = written_with_losses(
        asked(reasoning=Reasoning(effort="low")), profile(reasoning=means)
    )

    assert ({"thinking", "output_config"}.isdisjoint(body), losses) == (True, ("reasoning",))


def test_not_to_think_is_no_loss_there() -> None:
    assert written_with_losses(asked(reasoning=Reasoning(effort="off")))[1] == ()


def test_a_model_too_small_for_a_budget_does_not_think() -> None:
    small = profile(**BUDGET)
    tiny = type(small)(
        provider="p",
        upstream_model="m",
        context_tokens=4096,
        max_output_tokens=1024,
        capabilities=small.capabilities,
    )

    body, losses = written_with_losses(asked(reasoning=Reasoning(effort="low")), tiny)
    assert ("thinking" in body, losses) == (False, ("reasoning",))


class TestWhereThinkingIsRefused:
    WANTED = Reasoning(effort="high")

    @pytest.mark.parametrize("capabilities", [BUDGET, ADAPTIVE])
    @pytest.mark.parametrize("choice", [ToolChoice(mode="any"), ToolChoice(mode="tool", name="f")])
    def test_a_tool_is_forced(self, capabilities: dict[str, Any], choice: ToolChoice) -> None:
        body, losses = written_with_losses(
            asked(reasoning=self.WANTED, tools=TOOLS, tool_choice=choice), profile(**capabilities)
        )

        assert ("thinking" in body, losses) == (False, ("reasoning",))

    def test_an_assistant_turn_is_continued(self) -> None:
        body, losses = written_with_losses(
            asked(user("A"), assistant("B"), reasoning=self.WANTED), profile(**BUDGET)
        )

        assert ("thinking" in body, losses) == (False, ("reasoning",))

    @pytest.mark.parametrize(
        ("capabilities", "thought", "thinks"),
        [
            (BUDGET, [], False),
            (BUDGET, [Thinking(text="hm", state=OWN_STATE)], True),
            (ADAPTIVE, [], True),
        ],
    )
    def test_a_loop_began_without_it(
        self, capabilities: dict[str, Any], thought: list[Thinking], *, thinks: bool
    ) -> None:
        call = ToolCall(id="1", name="f", arguments="{}")
        answer = ToolResult(call_id="1", blocks=[Text(text="ok")])
        body = written(
            asked(
                user("A"),
                assistant(*thought, call),
                user(answer),
                reasoning=self.WANTED,
                tools=TOOLS,
            ),
            profile(**capabilities),
        )

        assert thinks == ("thinking" in body)


class TestSamplingWhileThinking:
    @pytest.mark.parametrize(
        ("sampling", "expected", "losses"),
        [
            (Sampling(temperature=1.0), {"temperature": 1.0}, ()),
            (Sampling(temperature=0.2), {}, ("sampling",)),
            (Sampling(top_p=0.97), {"top_p": 0.97}, ()),
            (Sampling(top_p=0.5), {}, ("sampling",)),
            (Sampling(top_k=5), {}, ("sampling",)),
        ],
    )
    def test_little_is_left(
        self, sampling: Sampling, expected: dict[str, Any], losses: tuple[str, ...]
    ) -> None:
        body, lost = written_with_losses(
            asked(sampling=sampling, reasoning=Reasoning(effort="low")), profile(**BUDGET)
        )

        said = {name: body[name] for name in ("temperature", "top_p", "top_k") if name in body}
        assert (expected, losses) == (said, lost)
