"""A strict reader of Gemini streams as clients expect them; it shares no code with what it checks."""

import json
from typing import Any

CHUNK = {"candidates", "modelVersion", "responseId", "usageMetadata", "provider"}
KINDS = {"text", "functionCall"}
COUNTS = {
    "promptTokenCount",
    "candidatesTokenCount",
    "totalTokenCount",
    "cachedContentTokenCount",
    "thoughtsTokenCount",
}


def frames(stream: bytes) -> list[dict[str, Any]]:
    """Every frame is one line of JSON behind `data: `, ended by an empty line, with CRLF; no comments, no `[DONE]`."""
    if not stream:
        return []
    assert stream.endswith(b"\r\n\r\n")
    found: list[dict[str, Any]] = []
    for frame in stream.removesuffix(b"\r\n\r\n").split(b"\r\n\r\n"):
        assert frame.startswith(b"data: {")
        assert b"\n" not in frame
        assert b"\r" not in frame
        found.append(json.loads(frame.removeprefix(b"data: ")))
    return found


def check_error(frame: dict[str, Any]) -> None:
    assert frame.keys() == {"error"}
    assert frame["error"].keys() == {"code", "message", "status"}
    assert isinstance(frame["error"]["code"], int)
    assert isinstance(frame["error"]["status"], str)


def check(stream: bytes, *, failed: bool = False) -> list[dict[str, Any]]:
    """All parts of a stream that keeps the grammar, up to its end or its error."""
    chunks = frames(stream)
    if failed:
        check_error(chunks.pop())
    parts: list[dict[str, Any]] = []
    for number, chunk in enumerate(chunks):
        assert chunk.keys() <= CHUNK
        assert ("provider" in chunk) is (number == 0)
        (candidate,) = chunk["candidates"]
        assert candidate.keys() <= {"content", "index", "finishReason"}
        assert candidate["index"] == 0
        assert candidate["content"]["role"] == "model"
        (part,) = candidate["content"]["parts"]
        check_part(part)
        parts.append(part)
        is_last = number == len(chunks) - 1 and not failed
        assert ("finishReason" in candidate) is is_last
        if "usageMetadata" in chunk:
            assert is_last
            assert chunk["usageMetadata"].keys() <= COUNTS
        if not is_last:
            assert part.get("text") != "" or "thoughtSignature" in part
    assert len({(chunk["modelVersion"], chunk["responseId"]) for chunk in chunks}) <= 1
    assert failed or chunks
    return parts


def check_part(part: dict[str, Any]) -> None:
    (kind,) = KINDS & part.keys()
    assert part.keys() <= {kind, "thought", "thoughtSignature"}
    assert part.get("thought", True) is True
    if kind == "functionCall":
        assert part["functionCall"].keys() == {"name", "args", "id"}
        assert isinstance(part["functionCall"]["args"], dict)
