"""The Gemini CLI on Gemini models."""

import pytest

from aibridge_sandbox.script import directive

from . import loop
from .driven import Place
from .evidence import Evidence
from .gemini_cli import GeminiCli, answer

MODELS = ["gemini-2.5-pro", "gemini-3.5-flash-lite"]
"""With budgets for thinking, and with levels. It asks for gemini-3.8-flash in place of gemini-3.5-flash."""


@pytest.mark.parametrize("model", MODELS)
class TestEveryModel:
    def test_a_prompt(self, gemini_cli: GeminiCli, evidence: Evidence, model: str) -> None:
        ran = gemini_cli.ask(f"Say hello {directive(text='Hello to you.')}", model)

        assert answer(ran) == "Hello to you."
        evidence.check(model, turns=1)

    def test_a_task_of_three_turns(
        self, gemini_cli: GeminiCli, place: Place, evidence: Evidence, model: str
    ) -> None:
        prompt = loop.prepare(
            place.work,
            ("run_shell_command", {"command": loop.COMMAND}),
            ("read_file", {"file_path": str(place.work / "second.txt")}),
        )

        ran = gemini_cli.ask(prompt, model)

        assert answer(ran) == loop.DONE
        assert loop.written(place.work) == loop.WRITTEN
        assert ran.document["stats"]["tools"]["totalSuccess"] == 2
        evidence.check(model, turns=3)

    def test_calls_in_parallel(self, gemini_cli: GeminiCli, evidence: Evidence, model: str) -> None:
        call = {"name": "run_shell_command", "args": {"command": "echo it ran"}, "parallel": 2}

        ran = gemini_cli.ask(directive(tool=call), model)

        assert answer(ran).count("it ran") == 2
        evidence.check(model, turns=2)

    def test_its_own_count_of_tokens_is_ours(
        self, gemini_cli: GeminiCli, evidence: Evidence, model: str
    ) -> None:
        ran = gemini_cli.ask("Say hello", model)

        [row] = evidence.check(model, turns=1)
        counted = ran.document["stats"]["models"][model]["tokens"]
        assert counted["prompt"] == row.usage.input + row.usage.cache_read
        assert counted["candidates"] == row.usage.output
        assert counted["thoughts"] == row.usage.reasoning


def test_a_model_that_cannot_think_is_the_vendors_to_refuse(
    gemini_cli: GeminiCli, evidence: Evidence
) -> None:
    """It asks every model for its thoughts, and same-dialect requests pass as they are."""
    ran = gemini_cli.ask("Say hello", "gemini-2.0-flash-exp")

    assert ran.code != 0
    assert "Thinking is not enabled for this model" in ran.said
    assert [status for status, _ in evidence.refusals()] == [400]
