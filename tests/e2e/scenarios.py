"""What a customer does with each official SDK, on any model.

It runs under several majors of the SDKs, so it imports only them. As a program it runs every scenario of the SDKs that
are installed: `python scenarios.py BASE_URL KEY MODEL...` prints a JSON object of failures by `sdk/scenario/model`.
"""

import base64
import json
import struct
import sys
import traceback
import zlib
from collections.abc import Callable
from typing import Any

MODELS = {
    "openai_chat": "gpt-4o",
    "openai_responses": "gpt-5.5",
    "anthropic_messages": "claude-sonnet-5-5",
    "anthropic_messages, old": "claude-3-5-sonnet-20241022",
    "gemini_generate": "gemini-3.5-flash",
    "gemini_generate, old": "gemini-2.0-flash-exp",
}
SCHEMA: dict[str, Any] = {
    "type": "object",
    "properties": {"city": {"type": "string"}, "days": {"type": "integer"}},
    "required": ["city", "days"],
    "additionalProperties": False,
}
TOOL = ("weather", "The weather in a city.", SCHEMA)
RESULT = "21 degrees and sunny"
REFUSAL = "That I will not do."


def ask(**script: Any) -> str:
    """A prompt that tells the stand-in vendor what to do."""
    return f"[[sandbox {json.dumps(script)}]] What is the weather?"


def picture() -> str:
    """A red pixel as PNG in base64."""

    def chunk(kind: bytes, data: bytes) -> bytes:
        body = kind + data
        return struct.pack(">I", len(data)) + body + struct.pack(">I", zlib.crc32(body))

    header = struct.pack(">IIBBBBB", 1, 1, 8, 2, 0, 0, 0)
    pixels = zlib.compress(b"\x00\xff\x00\x00")
    png = b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", header) + chunk(b"IDAT", pixels)
    return base64.b64encode(png + chunk(b"IEND", b"")).decode()


# --- OpenAI, Chat -----------------------------------------------------------------------------


class Chat:
    """The `openai` SDK on /v1/chat/completions."""

    def __init__(self, base_url: str, key: str) -> None:
        import openai  # noqa: PLC0415 - only what is installed is imported

        self._client = openai.OpenAI(base_url=base_url + "/v1", api_key=key, max_retries=0)
        self._tools: list[Any] = [
            {
                "type": "function",
                "function": {"name": TOOL[0], "description": TOOL[1], "parameters": TOOL[2]},
            }
        ]

    def _create(self, model: str, content: Any, **more: Any) -> Any:
        messages = [{"role": "user", "content": content}]
        return self._client.chat.completions.create(
            model=model, messages=more.pop("messages", messages), **more
        )

    def text(self, model: str) -> None:
        answer = self._create(model, "Hello there")

        assert "Hello there" in answer.choices[0].message.content
        assert model == answer.model
        assert answer.usage.prompt_tokens > 0
        assert answer.usage.completion_tokens > 0

    def streamed_text(self, model: str) -> None:
        chunks = list(
            self._create(model, "Hello there", stream=True, stream_options={"include_usage": True})
        )

        said = "".join(c.choices[0].delta.content or "" for c in chunks if c.choices)
        assert "Hello there" in said
        assert {model} == {chunk.model for chunk in chunks}
        assert [c.choices[0].finish_reason for c in chunks if c.choices][-1] == "stop"
        assert chunks[-1].usage.completion_tokens > 0

    def tool_loop(self, model: str) -> None:
        question: Any = {"role": "user", "content": ask(tool="weather")}
        first = self._create(model, None, messages=[question], tools=self._tools)
        message = first.choices[0].message
        assert first.choices[0].finish_reason == "tool_calls"
        [call] = message.tool_calls
        assert {"city", "days"} == set(json.loads(call.function.arguments))

        history = [
            question,
            {
                "role": "assistant",
                "content": message.content,
                "tool_calls": [c.model_dump(exclude_none=True) for c in message.tool_calls],
            },
            {"role": "tool", "tool_call_id": call.id, "content": RESULT},
        ]
        second = self._create(model, None, messages=history, tools=self._tools)

        assert RESULT in second.choices[0].message.content

    def parallel_tools(self, model: str) -> None:
        stream = self._create(
            model,
            ask(tool={"name": "weather", "parallel": 2}),
            tools=self._tools,
            stream=True,
        )
        calls: dict[int, str] = {}
        names: list[str] = []
        for chunk in stream:
            for call in (chunk.choices[0].delta.tool_calls or []) if chunk.choices else []:
                calls[call.index] = calls.get(call.index, "") + (call.function.arguments or "")
                names += [call.function.name] if call.function.name else []

        assert names == ["weather", "weather"]
        assert all({"city", "days"} == set(json.loads(text)) for text in calls.values())
        assert sorted(calls) == [0, 1]

    def image(self, model: str) -> None:
        url = {"url": f"data:image/png;base64,{picture()}"}
        parts = [{"type": "text", "text": "See this"}, {"type": "image_url", "image_url": url}]

        assert "See this" in self._create(model, parts).choices[0].message.content

    def thinking(self, model: str) -> None:
        answer = self._create(model, ask(thinking=True), reasoning_effort="high")

        assert answer.choices[0].message.content

    def structured(self, model: str) -> None:
        wanted = {"name": "forecast", "strict": True, "schema": SCHEMA}
        answer = self._create(
            model, "Forecast", response_format={"type": "json_schema", "json_schema": wanted}
        )

        assert {"city", "days"} == set(json.loads(answer.choices[0].message.content))

    def refusal(self, model: str) -> None:
        choice = self._create(model, ask(refusal=REFUSAL)).choices[0]

        assert choice.message.refusal or choice.finish_reason == "content_filter"

    def max_tokens(self, model: str) -> None:
        choice = self._create(model, ask(tokens=900), max_tokens=20).choices[0]

        assert choice.finish_reason == "length"


# --- OpenAI, Responses ------------------------------------------------------------------------


class Responses:
    """The `openai` SDK on /v1/responses."""

    def __init__(self, base_url: str, key: str) -> None:
        import openai  # noqa: PLC0415

        self._client = openai.OpenAI(base_url=base_url + "/v1", api_key=key, max_retries=0)
        self._tools: list[Any] = [
            {"type": "function", "name": TOOL[0], "description": TOOL[1], "parameters": TOOL[2]}
            | {"strict": True}
        ]

    def _create(self, model: str, asked: Any, **more: Any) -> Any:
        return self._client.responses.create(model=model, input=asked, **more)

    def text(self, model: str) -> None:
        answer = self._create(model, "Hello there")

        assert "Hello there" in answer.output_text
        assert (model, "completed") == (answer.model, answer.status)
        assert answer.usage.output_tokens > 0

    def streamed_text(self, model: str) -> None:
        events = list(self._create(model, "Hello there", stream=True))

        said = "".join(e.delta for e in events if e.type == "response.output_text.delta")
        assert "Hello there" in said
        assert list(range(len(events))) == [e.sequence_number for e in events]
        assert events[-1].type == "response.completed"
        assert events[-1].response.usage.output_tokens > 0

    def tool_loop(self, model: str) -> None:
        question = {"role": "user", "content": ask(tool="weather")}
        first = self._create(model, [question], tools=self._tools, store=False)
        [call] = [item for item in first.output if item.type == "function_call"]
        assert {"city", "days"} == set(json.loads(call.arguments))

        history = [
            question,
            *[item.model_dump(exclude_none=True) for item in first.output],
            {"type": "function_call_output", "call_id": call.call_id, "output": RESULT},
        ]
        second = self._create(model, history, tools=self._tools, store=False)

        assert RESULT in second.output_text

    def parallel_tools(self, model: str) -> None:
        asked = ask(tool={"name": "weather", "parallel": 2})
        with self._client.responses.stream(model=model, input=asked, tools=self._tools) as stream:
            for _ in stream:
                pass
            final = stream.get_final_response()

        calls = [item for item in final.output if item.type == "function_call"]
        assert [call.name for call in calls] == ["weather", "weather"]
        assert all({"city", "days"} == set(json.loads(call.arguments)) for call in calls)

    def image(self, model: str) -> None:
        url = f"data:image/png;base64,{picture()}"
        parts = [
            {"type": "input_text", "text": "See this"},
            {"type": "input_image", "image_url": url, "detail": "auto"},
        ]

        assert "See this" in self._create(model, [{"role": "user", "content": parts}]).output_text

    def thinking(self, model: str, then: str | None = None) -> None:
        first = self._create(
            model,
            [{"role": "user", "content": ask(thinking=True)}],
            reasoning={"effort": "high", "summary": "auto"},
            include=["reasoning.encrypted_content"],
            store=False,
        )
        history = [
            {"role": "user", "content": ask(thinking=True)},
            *[item.model_dump(exclude_none=True) for item in first.output],
            {"role": "user", "content": "Go on then"},
        ]

        assert "Go on then" in self._create(then or model, history, store=False).output_text

    def structured(self, model: str) -> None:
        wanted = {"type": "json_schema", "name": "forecast", "strict": True, "schema": SCHEMA}
        answer = self._create(model, "Forecast", text={"format": wanted})

        assert {"city", "days"} == set(json.loads(answer.output_text))

    def refusal(self, model: str) -> None:
        answer = self._create(model, ask(refusal=REFUSAL))

        parts = [p.type for item in answer.output if item.type == "message" for p in item.content]
        filtered = answer.status == "incomplete"
        assert "refusal" in parts or filtered

    def max_tokens(self, model: str) -> None:
        answer = self._create(model, ask(tokens=900), max_output_tokens=20)

        assert (answer.status, answer.incomplete_details.reason) == (
            "incomplete",
            "max_output_tokens",
        )


# --- Anthropic --------------------------------------------------------------------------------


class Messages:
    """The `anthropic` SDK on /v1/messages."""

    def __init__(self, base_url: str, key: str) -> None:
        import anthropic  # noqa: PLC0415

        self._client = anthropic.Anthropic(base_url=base_url, api_key=key, max_retries=0)
        self._tools: list[Any] = [
            {"name": TOOL[0], "description": TOOL[1], "input_schema": TOOL[2]}
        ]

    def _create(self, model: str, content: Any, **more: Any) -> Any:
        more.setdefault("max_tokens", 500)
        messages = more.pop("messages", [{"role": "user", "content": content}])
        return self._client.messages.create(model=model, messages=messages, **more)

    def _stream(self, model: str, content: Any, **more: Any) -> Any:
        more.setdefault("max_tokens", 500)
        messages: Any = [{"role": "user", "content": content}]
        with self._client.messages.stream(model=model, messages=messages, **more) as stream:
            for _ in stream:
                pass
            return stream.get_final_message()

    @staticmethod
    def _said(answer: Any) -> str:
        return "".join(block.text for block in answer.content if block.type == "text")

    def text(self, model: str) -> None:
        answer = self._create(model, "Hello there")

        assert "Hello there" in self._said(answer)
        assert (model, "end_turn") == (answer.model, answer.stop_reason)
        assert answer.usage.input_tokens > 0
        assert answer.usage.output_tokens > 0

    def streamed_text(self, model: str) -> None:
        answer = self._stream(model, "Hello there")

        assert "Hello there" in self._said(answer)
        assert (model, "end_turn") == (answer.model, answer.stop_reason)
        assert answer.usage.output_tokens > 1

    def tool_loop(self, model: str) -> None:
        question = {"role": "user", "content": ask(tool="weather")}
        first = self._stream(model, question["content"], tools=self._tools)
        assert first.stop_reason == "tool_use"
        [call] = [block for block in first.content if block.type == "tool_use"]
        assert {"city", "days"} == set(call.input)

        history = [
            question,
            {
                "role": "assistant",
                "content": [
                    b.model_dump(exclude_none=True, include=_REPLAYED) for b in first.content
                ],
            },
            {
                "role": "user",
                "content": [{"type": "tool_result", "tool_use_id": call.id, "content": RESULT}],
            },
        ]
        second = self._create(model, None, messages=history, tools=self._tools)

        assert RESULT in self._said(second)

    def parallel_tools(self, model: str) -> None:
        answer = self._stream(
            model, ask(tool={"name": "weather", "parallel": 2}), tools=self._tools
        )

        calls = [block for block in answer.content if block.type == "tool_use"]
        assert [call.name for call in calls] == ["weather", "weather"]
        assert all({"city", "days"} == set(call.input) for call in calls)
        assert len({call.id for call in calls}) == 2

    def image(self, model: str) -> None:
        source = {"type": "base64", "media_type": "image/png", "data": picture()}
        parts = [{"type": "text", "text": "See this"}, {"type": "image", "source": source}]

        assert "See this" in self._said(self._create(model, parts))

    def thinking(self, model: str, then: str | None = None) -> None:
        asked = {"role": "user", "content": ask(thinking=True)}
        first = self._stream(
            model,
            asked["content"],
            max_tokens=8000,
            thinking={"type": "adaptive"}
            if "5-5" in model
            else {"type": "enabled", "budget_tokens": 2000},
        )
        replayed = [b.model_dump(exclude_none=True, include=_REPLAYED) for b in first.content]
        history = [
            asked,
            {"role": "assistant", "content": replayed},
            {"role": "user", "content": "Go on then"},
        ]

        assert "Go on then" in self._said(self._create(then or model, None, messages=history))

    def structured(self, model: str) -> None:
        answer = self._create(
            model,
            "Forecast",
            extra_body={"output_config": {"format": {"type": "json_schema", "schema": SCHEMA}}},
        )

        assert {"city", "days"} == set(json.loads(self._said(answer)))

    def refusal(self, model: str) -> None:
        assert self._create(model, ask(refusal=REFUSAL)).stop_reason == "refusal"

    def max_tokens(self, model: str) -> None:
        assert self._create(model, ask(tokens=900), max_tokens=20).stop_reason == "max_tokens"


_REPLAYED = {"type", "text", "thinking", "signature", "data", "id", "name", "input"}


# --- Google -----------------------------------------------------------------------------------


class Gemini:
    """The `google-genai` SDK on /v1beta/models."""

    def __init__(self, base_url: str, key: str) -> None:
        from google import genai  # noqa: PLC0415
        from google.genai import types  # noqa: PLC0415

        self._types: Any = types
        self._client: Any = genai.Client(
            api_key=key, http_options=types.HttpOptions(base_url=base_url, api_version="v1beta")
        )
        declaration = {
            "name": TOOL[0],
            "description": TOOL[1],
            "parameters_json_schema": TOOL[2],
        }
        self._tools = [types.Tool.model_validate({"function_declarations": [declaration]})]

    def _create(self, model: str, contents: Any, **config: Any) -> Any:
        return self._client.models.generate_content(
            model=model,
            contents=contents,
            config=self._types.GenerateContentConfig(
                automatic_function_calling={"disable": True}, **config
            ),
        )

    def _user(self, *parts: Any) -> Any:
        return self._types.Content(role="user", parts=list(parts))

    def _text(self, text: str) -> Any:
        return self._types.Part(text=text)

    def text(self, model: str) -> None:
        answer = self._create(model, "Hello there")

        assert "Hello there" in answer.text
        assert model == answer.model_version
        assert answer.usage_metadata.candidates_token_count > 0

    def streamed_text(self, model: str) -> None:
        chunks = list(
            self._client.models.generate_content_stream(model=model, contents="Hello there")
        )

        assert "Hello there" in "".join(chunk.text or "" for chunk in chunks)
        assert chunks[-1].candidates[0].finish_reason.value == "STOP"
        assert chunks[-1].usage_metadata.candidates_token_count > 0

    def tool_loop(self, model: str) -> None:
        question = self._user(self._text(ask(tool="weather")))
        first = self._create(model, [question], tools=self._tools)
        [call] = first.function_calls
        assert {"city", "days"} == set(call.args)

        result = self._types.FunctionResponse(
            id=call.id, name="weather", response={"output": RESULT}
        )
        history = [
            question,
            first.candidates[0].content,
            self._user(self._types.Part(function_response=result)),
        ]
        second = self._create(model, history, tools=self._tools)

        assert RESULT in second.text

    def parallel_tools(self, model: str) -> None:
        asked = ask(tool={"name": "weather", "parallel": 2})
        calls = self._create(model, asked, tools=self._tools).function_calls

        assert [call.name for call in calls] == ["weather", "weather"]
        assert all({"city", "days"} == set(call.args) for call in calls)

    def image(self, model: str) -> None:
        part = self._types.Part.from_bytes(data=base64.b64decode(picture()), mime_type="image/png")

        assert "See this" in self._create(model, [self._user(self._text("See this"), part)]).text

    def thinking(self, model: str, then: str | None = None) -> None:
        wanted: dict[str, Any] = {"include_thoughts": True}
        if "3.5" in model:
            wanted["thinking_level"] = "HIGH"
        else:
            wanted["thinking_budget"] = 2000
        asked = self._user(self._text(ask(thinking=True)))
        first = self._create(model, [asked], thinking_config=wanted)
        history = [asked, first.candidates[0].content, self._user(self._text("Go on then"))]

        assert "Go on then" in self._create(then or model, history).text

    def structured(self, model: str) -> None:
        answer = self._create(
            model,
            "Forecast",
            response_mime_type="application/json",
            response_json_schema=SCHEMA,
        )

        assert {"city", "days"} == set(json.loads(answer.text))

    def refusal(self, model: str) -> None:
        answer = self._create(model, ask(refusal=REFUSAL))

        blocked = answer.prompt_feedback is not None and answer.prompt_feedback.block_reason
        finished = answer.candidates and answer.candidates[0].finish_reason.value
        assert blocked or finished in {"SAFETY", "PROHIBITED_CONTENT", "RECITATION"}

    def max_tokens(self, model: str) -> None:
        answer = self._create(model, ask(tokens=900), max_output_tokens=20)

        assert answer.candidates[0].finish_reason.value == "MAX_TOKENS"


SDKS: dict[str, type[Any]] = {
    "openai chat": Chat,
    "openai responses": Responses,
    "anthropic": Messages,
    "google": Gemini,
}
SCENARIOS = [
    "text",
    "streamed_text",
    "tool_loop",
    "parallel_tools",
    "image",
    "thinking",
    "structured",
    "refusal",
    "max_tokens",
]
CANNOT: dict[tuple[str, str, str], str] = {
    ("anthropic", "thinking", "claude-3-5-sonnet-20241022"): "the model does not think",
    ("google", "thinking", "gemini-2.0-flash-exp"): "the model does not think",
    ("openai chat", "thinking", "gpt-4o"): "the model does not think",
    ("openai responses", "thinking", "gpt-4o"): "the model does not think",
    ("anthropic", "structured", "claude-3-5-sonnet-20241022"): "the model has no such output",
    ("openai chat", "max_tokens", "gpt-5.5"): "the vendor wants max_completion_tokens there",
}
"""Same dialect on both sides, and the vendor itself refuses: such a refusal is passed on, not mended."""


def run(sdk: str, scenario: str, model: str, base_url: str, key: str) -> None:
    """One scenario; raises AssertionError or the SDK's own error."""
    play: Callable[[str], None] = getattr(SDKS[sdk](base_url, key), scenario)
    play(model)


def main() -> None:
    """See the module."""
    base_url, key, *models = sys.argv[1:]
    failures: dict[str, str] = {}
    played = 0
    for sdk, play in SDKS.items():
        try:
            play(base_url, key)
        except ImportError:
            continue
        for scenario in SCENARIOS:
            for model in models:
                if (sdk, scenario, model) in CANNOT:
                    continue
                played += 1
                try:
                    run(sdk, scenario, model, base_url, key)
                except Exception:  # noqa: BLE001 - whatever fails is reported
                    failures[f"{sdk}/{scenario}/{model}"] = traceback.format_exc(limit=-2)
    print(json.dumps({"played": played, "failures": failures}, indent=1))  # noqa: T201 - its product


if __name__ == "__main__":
    main()
