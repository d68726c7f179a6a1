"""Every command of the product's public guide, run as it stands there but for host and key."""

import json
import subprocess
from typing import Any

import anthropic

from tests.fixtures.outside import Outside


def curl(*arguments: str) -> str:
    done = subprocess.run(
        ["curl", "-sS", "--max-time", "30", *arguments], capture_output=True, text=True, check=True
    )
    return done.stdout


def events(stream: str) -> list[Any]:
    lines = [
        line.removeprefix("data: ") for line in stream.splitlines() if line.startswith("data: ")
    ]
    return [json.loads(line) for line in lines if line != "[DONE]"]


def test_streaming_with_curl(outside: Outside) -> None:
    stream = curl(
        "-N",
        "-X",
        "POST",
        f"{outside.base_url}/v1/chat/completions",
        "-H",
        f"Authorization: Bearer {outside.key}",
        "-H",
        "Content-Type: application/json",
        "-d",
        '{"model":"claude-3-5-sonnet-20241022","messages":[{"role":"user","content":"Hello"}],"stream":true}',
    )

    chunks = events(stream)
    assert stream.endswith("data: [DONE]\n\n")
    assert (
        chunks[0]["model"],
        chunks[0]["provider"],
    ) == ("claude-3-5-sonnet-20241022", "anthropic")
    assert "Hello" in "".join(c["choices"][0]["delta"].get("content") or "" for c in chunks)


def test_the_python_example(outside: Outside) -> None:
    client = anthropic.Anthropic(base_url=outside.base_url, api_key=outside.key)
    written: list[str] = []
    with (
        client,
        client.messages.stream(
            model="claude-3-5-sonnet-20241022",
            max_tokens=1024,
            messages=[{"role": "user", "content": "Tell a story"}],
        ) as stream,
    ):
        written.extend(stream.text_stream)

    assert "Tell a story" in "".join(written)


def test_the_models_that_codex_asks_for(outside: Outside) -> None:
    listed = json.loads(
        curl(f"{outside.base_url}/v1/openai/models", "-H", f"Authorization: Bearer {outside.key}")
    )

    assert "gpt-4o" in [model["id"] for model in listed["data"]]
    needed = {
        "slug",
        "display_name",
        "supported_reasoning_levels",
        "shell_type",
        "visibility",
        "supported_in_api",
        "priority",
        "base_instructions",
        "support_verbosity",
        "truncation_policy",
        "experimental_supported_tools",
    }
    assert all(needed <= set(model) for model in listed["models"])


def test_native_streaming_with_curl(outside: Outside) -> None:
    stream = curl(
        "-N",
        f"{outside.base_url}/v1/openai/chat/completions",
        "-H",
        f"Authorization: Bearer {outside.key}",
        "-H",
        "Content-Type: application/json",
        "-d",
        '{"model":"gpt-4o","messages":[{"role":"user","content":"hi"}],"stream":true}',
    )

    assert events(stream)[0]["model"] == "gpt-4o"
    assert "provider" not in events(stream)[0]


def test_a_chat_answer_names_its_provider(outside: Outside) -> None:
    answer = outside.chat("Hello").json()

    assert (answer["model"], answer["provider"]) == ("gpt-4o", "openai")
