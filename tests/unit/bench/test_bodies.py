import json

import pytest
from bench.bodies import AGENT_TOOLS, AGENT_TURNS, agent_chat, small_chat


@pytest.mark.parametrize("stream", [False, True])
def test_sizes_do_not_depend_on_what_is_asked(stream: bool) -> None:
    assert len(small_chat(model="gpt-bench", stream=stream)) == 1_000
    assert len(agent_chat(model="gpt-bench-60", stream=stream)) == 37_000


def test_the_same_bytes_every_time() -> None:
    once = agent_chat(model="gpt-bench", stream=False)
    assert once == agent_chat(model="gpt-bench", stream=False)


def test_the_agent_chat_has_turns_tools_and_answered_tool_calls() -> None:
    body = json.loads(agent_chat(model="gpt-bench", stream=False))
    system, *turns = body["messages"]
    calls = [call["id"] for turn in turns for call in turn.get("tool_calls", ())]
    results = [turn["tool_call_id"] for turn in turns if turn["role"] == "tool"]
    assert len(system["content"]) == 8_000
    assert len(turns) == AGENT_TURNS
    assert len(body["tools"]) == AGENT_TOOLS
    assert calls == results
    assert len(turns[-1]["content"]) > 100


def test_a_stream_asks_for_its_usage() -> None:
    body = json.loads(small_chat(model="gpt-bench", stream=True))
    assert body["stream"] is True
    assert body["stream_options"] == {"include_usage": True}
