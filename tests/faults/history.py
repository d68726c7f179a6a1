"""Whether what a client saw of a stream is legal: nothing after an error, and one end at most."""

import json
from typing import Any

from tests.soak.load import Done

_ENDS = {"message_stop", "response.completed", "response.incomplete"}
_ERRORS = {"error", "response.failed"}


def illegal(one: Done) -> list[str]:
    """What a client must never see. A stream that is cut is legal: the client knows that it was."""
    if not one.ask.stream or one.answer.status != 200:
        return []
    kinds = [_kind(payload) for payload in _payloads(one.answer.body)]
    found: list[str] = []
    if "error" in kinds and kinds.index("error") != len(kinds) - 1:
        found.append(f"{kinds[-1]} after an error event")
    if kinds.count("end") > 1:
        found.append(f"{kinds.count('end')} terminal events")
    return found


def _payloads(body: bytes) -> list[str]:
    *whole, _cut = body.replace(b"\r\n", b"\n").split(b"\n\n")
    lines = [line for frame in whole for line in frame.decode().splitlines()]
    return [line.removeprefix("data:").strip() for line in lines if line.startswith("data:")]


def _kind(payload: str) -> str:
    if payload == "[DONE]":
        return "end"
    said: dict[str, Any] = json.loads(payload)
    if said.get("type") in _ERRORS or ("type" not in said and said.get("error")):
        return "error"
    if said.get("type") in _ENDS:
        return "end"
    finished = any("finishReason" in each for each in said.get("candidates", ()))
    return "end" if finished else "content"
