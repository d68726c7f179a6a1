"""Faults by rule, and the log of the truth."""

import json
from pathlib import Path
from typing import Any

import httpx

from aibridge_sandbox.settings import Settings

from .rig import Rig, ask, running


def _set(rig: Rig, *rules: dict[str, Any]) -> httpx.Response:
    return rig.http.post(f"{rig.base}/_sandbox/faults", json=list(rules))


def test_outage_of_one_vendor(rig: Rig) -> None:
    _set(rig, {"vendor": "anthropic", "status": 529, "headers": {"retry-after": "3"}})
    down = rig.ask("messages", "hi")
    up = rig.ask("chat", "hi")
    rig.http.delete(f"{rig.base}/_sandbox/faults")

    assert (down.status_code, down.headers["retry-after"]) == (529, "3")
    assert up.status_code == 200
    assert rig.ask("messages", "hi").status_code == 200


def test_rules_are_aimed_and_counted(rig: Rig) -> None:
    made = _set(
        rig,
        {"model": "gpt-4o", "endpoint": "chat", "key": "last", "times": 1, "status": 500},
        {"model": "gpt-4o", "stream": False, "text": "ruled"},
    ).json()
    other_key = rig.post("chat", ask("chat", "hi"), key="sk-other").status_code
    aimed = [rig.post("chat", ask("chat", "hi"), key="sk-last").status_code for _ in range(2)]
    ruled = rig.ask("chat", "hi", stream=False).json()
    listed = rig.http.get(f"{rig.base}/_sandbox/faults").json()
    rig.http.delete(f"{rig.base}/_sandbox/faults?rule_id={made[0]['id']}")

    assert other_key == 200
    assert aimed == [500, 200]
    assert ruled["choices"][0]["message"]["content"] == "ruled"
    assert listed == made
    assert len(rig.http.get(f"{rig.base}/_sandbox/faults").json()) == 1


def test_flapping_is_the_same_in_every_run(rig: Rig) -> None:
    rule = {"vendor": "openai", "probability": 0.5, "status": 503}
    _set(rig, rule)
    statuses = [rig.ask("chat", "hi").status_code for _ in range(40)]

    assert 8 < statuses.count(503) < 32


def test_wrong_rule_sets_none(rig: Rig) -> None:
    response = _set(rig, {"status": 500}, {"vendor": "nobody"})

    assert response.status_code == 400
    assert "vendor" in response.text
    assert rig.http.get(f"{rig.base}/_sandbox/faults").json() == []


def test_log_tells_everything(rig: Rig) -> None:
    body = ask("messages", "hi", stream=False)
    answer = rig.post("messages", body, **{"x-client-request-id": "req-7", "x-forwarded": "yes"})
    rig.ask("chat", "another")
    found = rig.http.get(f"{rig.base}/_sandbox/log?request_id=req-7").json()
    usage = answer.json()["usage"]

    assert len(found) == 1
    entry = found[0]
    assert (entry["vendor"], entry["endpoint"]) == ("anthropic", "messages")
    assert (entry["status"], entry["outcome"], entry["reported"]) == (200, "completed", True)
    assert entry["usage"]["input"] == usage["input_tokens"]
    assert entry["usage"]["output"] == usage["output_tokens"]
    assert ["x-forwarded", "yes"] in entry["headers"]
    assert json.loads(entry["body"]) == body
    assert entry["key_last4"] == "test"
    rig.http.delete(f"{rig.base}/_sandbox/log")
    assert rig.http.get(f"{rig.base}/_sandbox/log").json() == []


def test_file_keeps_no_secrets(tmp_path: Path) -> None:
    """One line a call, without headers and bodies; strict keys and extra models work."""
    log = tmp_path / "truth.jsonl"
    settings = Settings(
        log_file=str(log), keys=("sk-only",), models=("openai/gpt-9=gpt-4o",), strict=True
    )
    with running(settings) as base, httpx.Client(timeout=5) as http:
        local = Rig(base=base, http=http)
        refused = local.ask("chat", "hi")
        answered = local.post("chat", {**ask("chat", "hi"), "model": "gpt-9"}, key="sk-only")
    lines = [json.loads(line) for line in log.read_text(encoding="utf-8").splitlines()]

    assert (refused.status_code, answered.status_code) == (401, 200)
    assert [line["status"] for line in lines] == [401, 200]
    assert "sk-only" not in log.read_text(encoding="utf-8")
    assert {"headers", "body"}.isdisjoint(lines[0])


def test_lenient_takes_what_strict_refuses() -> None:
    with running(Settings(strict=False)) as base, httpx.Client(timeout=5) as http:
        local = Rig(base=base, http=http)
        chat = local.ask("chat", "hi", top_k=4, model="gpt-unheard-of", stream=False)
        messages = local.ask("messages", "hi", stream=False, seed=1, temperature=9)
        gemini = local.ask("gemini-whole", "hi", unheard="of")
        responses = local.ask("responses", "hi", stream=False, messages=[])

    assert [r.status_code for r in (chat, messages, gemini, responses)] == [200] * 4
