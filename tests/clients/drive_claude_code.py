"""Claude Code on Claude, GPT and Gemini models."""

import json

import pytest

from aibridge_common.catalog import load_catalog, shipped_catalog_path
from aibridge_sandbox.script import directive
from tests.fixtures.outside import Outside

from . import loop
from .claude_code import ClaudeCode, answer
from .driven import Place
from .evidence import Evidence
from .files import PAGE, picture

MODELS = ["claude-sonnet-5-5", "gpt-5.5", "gpt-4o", "gemini-3.5-flash"]
"""One for each dialect that a vendor is spoken to in: Messages, Responses, Chat, Gemini."""
OTHERS = [
    model.id
    for model in load_catalog(shipped_catalog_path()).models
    if model.id not in MODELS and "embedding" not in model.id
]
ECHO = {"command": "echo it ran", "description": "Say that it ran"}


def reading(name: str, place: Place) -> str:
    arguments = {"file_path": str(place.work / name)}
    return directive(tool={"name": "Read", "args": arguments})


@pytest.mark.parametrize("model", MODELS)
class TestEveryDialect:
    def test_a_prompt(self, claude_code: ClaudeCode, evidence: Evidence, model: str) -> None:
        ran = claude_code.ask(f"Say hello {directive(text='Hello to you.')}", model)

        assert answer(ran) == "Hello to you."
        evidence.check(model, turns=1)

    def test_its_own_count_of_tokens_is_ours(
        self, claude_code: ClaudeCode, evidence: Evidence, model: str
    ) -> None:
        ran = claude_code.ask("Say hello", model)

        [row] = evidence.check(model, turns=1)
        counted = ran.document["usage"]
        assert counted["output_tokens"] == row.usage.output + row.usage.reasoning
        assert counted["cache_read_input_tokens"] == row.usage.cache_read
        assert counted["input_tokens"] == row.usage.input
        assert answer(ran)

    def test_a_task_of_three_turns(
        self, claude_code: ClaudeCode, place: Place, evidence: Evidence, model: str
    ) -> None:
        prompt = loop.prepare(
            place.work,
            ("Bash", {"command": loop.COMMAND, "description": "The first step"}),
            ("Read", {"file_path": str(place.work / "second.txt")}),
        )

        ran = claude_code.ask(prompt, model)

        assert answer(ran) == loop.DONE
        assert loop.written(place.work) == loop.WRITTEN
        evidence.check(model, turns=3)

    def test_a_file_written_by_its_own_tool(
        self, claude_code: ClaudeCode, place: Place, evidence: Evidence, model: str
    ) -> None:
        made = place.work / "made.txt"
        content = 'Grüße, "Anführung"\n\tand a \\ backslash\n'
        arguments = {"file_path": str(made), "content": content}

        ran = claude_code.ask(directive(tool={"name": "Write", "args": arguments}), model)

        assert "made.txt" in answer(ran)
        assert made.read_text() == content
        evidence.check(model, turns=2)

    def test_calls_in_parallel(
        self, claude_code: ClaudeCode, evidence: Evidence, model: str
    ) -> None:
        ran = claude_code.ask(directive(tool={"name": "Bash", "args": ECHO, "parallel": 3}), model)

        assert answer(ran).count("it ran") == 3
        evidence.check(model, turns=2)

    def test_a_tool_that_fails(
        self, claude_code: ClaudeCode, evidence: Evidence, model: str
    ) -> None:
        failing = {"command": "echo oops >&2; exit 3", "description": "Fail"}

        ran = claude_code.ask(directive(tool={"name": "Bash", "args": failing}), model)

        assert "Exit code 3 oops" in answer(ran)
        evidence.check(model, turns=2)

    def test_a_picture_that_a_tool_read(
        self, claude_code: ClaudeCode, place: Place, evidence: Evidence, model: str
    ) -> None:
        (place.work / "red.png").write_bytes(picture())

        ran = claude_code.ask(reading("red.png", place), model)

        assert answer(ran)
        evidence.check(model, turns=2)
        assert "iVBORw0KGgo" in evidence.bodies()[-1]

    def test_a_document_that_a_tool_read(
        self, claude_code: ClaudeCode, place: Place, evidence: Evidence, model: str
    ) -> None:
        (place.work / "page.pdf").write_bytes(PAGE)

        ran = claude_code.ask(reading("page.pdf", place), model)

        assert answer(ran)
        evidence.check(model, turns=2)
        assert "JVBERi0xLjQ" in evidence.bodies()[-1]

    def test_tools_that_it_loads_on_demand(
        self, claude_code: ClaudeCode, evidence: Evidence, model: str
    ) -> None:
        wanted = {"query": "select:NotebookEdit"}

        ran = claude_code.ask(directive(tool={"name": "ToolSearch", "args": wanted}), model)

        assert ran.document["subtype"] == "success"
        evidence.check(model, turns=2)
        before, after = evidence.bodies()
        assert '"cell_type"' not in before
        assert '"cell_type"' in after

    def test_an_agent_of_its_own(
        self, claude_code: ClaudeCode, evidence: Evidence, model: str
    ) -> None:
        task = {
            "description": "Look",
            "prompt": f"Look {directive(text='Seen.')}",
            "subagent_type": "general-purpose",
        }

        ran = claude_code.ask(directive(tool={"name": "Agent", "args": task}), model)

        assert answer(ran)
        assert "Seen." in evidence.bodies()[-1]
        evidence.check(model)

    def test_an_answer_in_json(
        self, claude_code: ClaudeCode, evidence: Evidence, model: str
    ) -> None:
        forecast = {"city": "Ulm", "days": 3}
        schema = {
            "type": "object",
            "properties": {"city": {"type": "string"}, "days": {"type": "integer"}},
            "required": ["city", "days"],
        }
        said = directive(tool={"name": "StructuredOutput", "args": forecast})

        ran = claude_code.ask(said, model, "--json-schema", json.dumps(schema))

        assert answer(ran)
        assert ran.document["structured_output"] == forecast
        evidence.check(model)

    def test_what_fills_its_context(
        self, claude_code: ClaudeCode, evidence: Evidence, model: str
    ) -> None:
        ran = claude_code.ask("/context", model)

        assert "**Tokens:**" in answer(ran)
        assert evidence.refusals() == []

    def test_an_overloaded_vendor_is_asked_again(
        self, claude_code: ClaudeCode, evidence: Evidence, model: str
    ) -> None:
        said = directive(status=503, times=1, model=model) + directive(text="Now it works.")

        ran = claude_code.ask(said, model)

        assert answer(ran) == "Now it works."
        assert [call["status"] for call in evidence.calls()] == [503, 200]

    def test_an_answer_that_breaks_off_is_asked_for_again(
        self, claude_code: ClaudeCode, evidence: Evidence, model: str
    ) -> None:
        fault = directive(cut={"at": "content:2", "reset": True}, times=1, model=model)

        ran = claude_code.ask(fault + directive(text="Now it is whole."), model)

        assert answer(ran) == "Now it is whole."
        assert [call["outcome"] for call in evidence.calls()] == ["cut", "completed"]


@pytest.mark.parametrize("model", OTHERS)
def test_every_other_model_of_the_catalogue_uses_a_tool(
    claude_code: ClaudeCode, evidence: Evidence, model: str
) -> None:
    ran = claude_code.ask(directive(tool={"name": "Bash", "args": ECHO}), model)

    assert "it ran" in answer(ran)
    evidence.check(model, turns=2)


def test_a_conversation_goes_on_with_other_vendors(
    claude_code: ClaudeCode, evidence: Evidence
) -> None:
    """What one vendor thought and called is history for the next, and its signatures are not shown to them."""
    order = [MODELS[3], MODELS[1], MODELS[0], MODELS[2], MODELS[3], MODELS[1], MODELS[0]]
    for turn, model in enumerate(order):
        echo = {"command": f"echo turn {turn}", "description": "Say which turn it is"}
        said = directive(tool={"name": "Bash", "args": echo, "parallel": 2}, thinking=True)
        if model == "gpt-4o":
            said = directive(tool={"name": "Bash", "args": echo, "parallel": 2})
        resumed = ["--continue"] if turn else []

        ran = claude_code.ask(f"Turn {turn} {said}", model, *resumed)

        assert answer(ran).count(f"turn {turn}") == 2

    evidence.check(*MODELS, turns=2 * len(order))
    assert not any("aib1." in body for body in evidence.bodies())


def test_the_key_as_a_token(place: Place, outside: Outside, evidence: Evidence) -> None:
    claude_code = ClaudeCode(
        place=place,
        base_url=outside.base_url,
        key=outside.key,
        key_variable="ANTHROPIC_AUTH_TOKEN",
    )

    assert answer(claude_code.ask("Say hello", MODELS[0]))
    evidence.check(MODELS[0], turns=1)


def test_what_a_vendor_refuses_it_leaves_out(claude_code: ClaudeCode, evidence: Evidence) -> None:
    """It reads the vendor's own words, so these must reach it unchanged."""
    words = "context_management: Extra inputs are not permitted"
    refusal = {"type": "error", "error": {"type": "invalid_request_error", "message": words}}
    said = directive(status=400, times=1, body=refusal) + directive(text="Without it, then.")

    ran = claude_code.ask(said, MODELS[0])

    assert answer(ran) == "Without it, then."
    first, second = evidence.bodies()
    assert '"context_management"' in first
    assert '"context_management"' not in second


def test_a_search_of_the_web_stays_with_the_vendor_that_has_one(
    claude_code: ClaudeCode, evidence: Evidence
) -> None:
    said = directive(tool={"name": "WebSearch", "args": {"query": "what is up"}})

    ran = claude_code.ask(said, MODELS[0])

    assert "Web search results" in answer(ran)
    evidence.check(MODELS[0], turns=3)


@pytest.mark.parametrize("model", MODELS[1:])
def test_a_search_of_the_web_is_refused_where_the_vendor_has_none(
    claude_code: ClaudeCode, evidence: Evidence, model: str
) -> None:
    said = directive(tool={"name": "WebSearch", "args": {"query": "what is up"}})

    ran = claude_code.ask(said, model)

    assert "400" in answer(ran)
    evidence.check(model, turns=2)
