"""No credential leaves the process in a log line."""

from typing import Any

import pytest

from aibridge_common.contracts.auth import VerifyKey
from aibridge_common.telemetry.redact import MASK, redact, redact_event

OURS = "ab-" + "Zk9" * 13
CANARIES = {
    "ours": OURS,
    "openai": "sk-proj-abcDEF123_-456789",
    "anthropic": "sk-ant-api03-abcdefghijklmnop",
    "google": "AIzaSyA-1234567890_abcdefghijklmnopqrs",
    "jwt": "eyJhbGciOiJIUzI1NiJ9.eyJzdWIiOiIxIn0.c2lnbmF0dXJl",
    "unsigned jwt": "eyJhbGciOiJub25lIn0.eyJzdWIiOiIxIn0.",
    "database": "ann:hunter2hunter2",
}
TEXTS = {
    "ours": f"key {CANARIES['ours']} refused",
    "openai": f"Authorization: Bearer {CANARIES['openai']}",
    "anthropic": f'{{"x-api-key":"{CANARIES["anthropic"]}"}}',
    "google": f"GET /v1beta/models?key={CANARIES['google']}&alt=sse",
    "jwt": f"token={CANARIES['jwt']};",
    "unsigned jwt": f"token={CANARIES['unsigned jwt']}",
    "database": f"postgresql://{CANARIES['database']}@db:5432/x",
}


@pytest.mark.parametrize("kind", CANARIES)
class TestEveryKind:
    def test_in_text(self, kind: str) -> None:
        """The credential goes, what stands around it stays."""
        before, after = TEXTS[kind].split(CANARIES[kind])

        assert redact(TEXTS[kind]) == before + MASK + after

    def test_more_than_one(self, kind: str) -> None:
        text = redact(f"{TEXTS[kind]} {TEXTS['ours']} {TEXTS[kind]}")

        assert CANARIES[kind] not in text
        assert OURS not in text

    @pytest.mark.parametrize(
        "wrap",
        [
            lambda text: text,
            lambda text: [text],
            lambda text: (1, (text,)),
            lambda text: {"a": {"b": [{"c": text}]}},
            lambda text: {text: 1},
            lambda text: {1, text},
            lambda text: frozenset({text}),
            lambda text: text.encode(),
            lambda text: bytearray(text.encode()),
            lambda text: [text.encode()],
            RuntimeError,
            lambda text: {"error": ValueError(text)},
            lambda text: VerifyKey(key=text),
        ],
        ids=[
            "text",
            "list",
            "tuple",
            "deep",
            "key of a dictionary",
            "set",
            "frozenset",
            "bytes",
            "bytearray",
            "bytes in a list",
            "exception",
            "exception in a dictionary",
            "a struct of ours",
        ],
    )
    def test_in_an_event(self, kind: str, wrap: Any) -> None:
        """Wherever in the event it hides."""
        event = redact_event(None, "info", {"event": "x", "detail": wrap(TEXTS[kind])})

        assert CANARIES[kind] not in repr(event)
        assert event["event"] == "x"


class TestInnocent:
    @pytest.mark.parametrize(
        "text",
        [
            "",
            "ask-me-anything",
            "sk-short",
            "ab-short",
            "http://gateway:8080/v1/messages",
            "postgresql://db:5432/x",
            "req_0123456789abcdef0123456789abcdef",
            "0192f0c1-7a5b-7c3d-8e9f-0123456789ab",
        ],
    )
    def test_stays(self, text: str) -> None:
        """A filter that eats ordinary words is soon switched off."""
        assert redact(text) == text

    def test_values_of_other_types_stay(self) -> None:
        event = {"count": 3, "ratio": 0.5, "on": True, "none": None}

        assert redact_event(None, "info", dict(event)) == event
