"""JSON of any shape is answered or refused; it never breaks the sandbox itself."""

from typing import Any

import pytest

from .rig import ROUTES, Rig, ask

JUNK: list[Any] = [None, -1, "x", [], {}, [1], [[]], {"type": []}, [{"type": {}}], [{"role": []}]]

FIELDS = {
    "chat": "messages tools tool_choice stop response_format n stream_options model logprobs",
    "responses": "input tools tool_choice reasoning text include max_output_tokens model",
    "messages": "messages system tools tool_choice thinking output_config cache_control model",
    "gemini": "contents tools generationConfig toolConfig systemInstruction",
}


@pytest.mark.parametrize("name", FIELDS)
def test_junk_is_no_accident(rig: Rig, name: str) -> None:
    for field in FIELDS[name].split():
        for junk in JUNK:
            response = rig.post(name, {**ask(name, "hi"), field: junk})

            assert response.status_code < 500, (field, junk, response.text)


def test_body_that_is_no_json(rig: Rig) -> None:
    response = rig.http.post(
        rig.base + ROUTES["chat"], content=b"{nope", headers={"authorization": "Bearer k"}
    )

    assert response.status_code == 400
    assert "could not parse the JSON body" in response.json()["error"]["message"]
