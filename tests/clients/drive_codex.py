"""Codex on GPT models, by the guide's configuration."""

import pytest

from aibridge_sandbox.script import directive
from tests.fixtures.outside import Outside

from . import loop
from .codex import Codex, answer, items
from .driven import Place
from .evidence import Evidence

MODELS = ["gpt-4o", "gpt-5.5", "gpt-6.1-sol"]


@pytest.fixture(params=["our list of models", "its own list of models"])
def codex(place: Place, outside: Outside, request: pytest.FixtureRequest) -> Codex:
    listed = request.param == "our list of models"
    return Codex(place=place, base_url=outside.base_url, key=outside.key, listed=listed)


@pytest.mark.parametrize("model", MODELS)
class TestEveryModel:
    def test_a_prompt(self, codex: Codex, evidence: Evidence, model: str) -> None:
        ran = codex.ask(f"Say hello {directive(text='Hello to you.')}", model)

        assert answer(ran) == "Hello to you."
        evidence.check(model, turns=1)

    def test_a_task_of_three_turns(
        self, codex: Codex, place: Place, evidence: Evidence, model: str
    ) -> None:
        prompt = loop.prepare(
            place.work,
            ("exec_command", {"cmd": loop.COMMAND}),
            ("exec_command", {"cmd": "cat second.txt"}),
        )

        ran = codex.ask(prompt, model)

        assert answer(ran) == loop.DONE
        assert [item["exit_code"] for item in items(ran, "command_execution")] == [0, 0]
        assert loop.written(place.work) == loop.WRITTEN
        evidence.check(model, turns=3)


def test_thoughts_go_back_to_the_vendor_as_they_came(codex: Codex, evidence: Evidence) -> None:
    call = {"name": "exec_command", "args": {"cmd": "echo it ran"}}

    ran = codex.ask(directive(thinking=True, tool=call), "gpt-6.1-sol")

    assert "it ran" in answer(ran)
    evidence.check("gpt-6.1-sol", turns=2)
    assert '"encrypted_content":"' in evidence.bodies()[-1].replace(" ", "")


def test_a_conversation_is_resumed(codex: Codex, evidence: Evidence) -> None:
    call = {"name": "exec_command", "args": {"cmd": "echo it ran"}}
    assert answer(codex.ask(directive(tool=call), "gpt-5.5"))

    ran = codex.ask(f"Go on {directive(text='Gone on.')}", "gpt-5.5", "resume", "--last")

    assert answer(ran) == "Gone on."
    evidence.check("gpt-5.5", turns=3)
    assert "it ran" in evidence.bodies()[-1]


def test_an_overloaded_vendor_is_asked_again(codex: Codex, evidence: Evidence) -> None:
    model = "gpt-5.5" if codex.listed else "gpt-4o"
    fault = directive(status=503, times=1, endpoint="responses", model=model)

    ran = codex.ask(fault + directive(text="Now it works."), model)

    assert answer(ran) == "Now it works."
    assert [call["status"] for call in evidence.calls()] == [503, 200]
