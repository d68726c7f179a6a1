"""What explain says is what then happens."""

import pytest

from aibridge_common.catalog import Chain
from aibridge_common.dialect import find_endpoint
from aibridge_common.errors import InvalidRequest
from aibridge_common.ids import uuid7
from aibridge_router.exchange.asked import read_asked
from aibridge_router.exchange.explain import Explanation, explain
from aibridge_router.exchange.inbound import Inbound
from aibridge_router.exchange.session import session_of
from aibridge_router.failover.walk import Rules

from .scene import ACCOUNT, BODIES, PATHS, Scene, answering

pytestmark = pytest.mark.anyio
CHAIN = Chain(model="claude-a", backups=["gpt-a", "gemini-a"])
PROVIDERS = {"openai": "/openai/", "anthropic": "/anthropic/", "google": "/google/"}
PROMPT = b'{"model":"claude-a","max_tokens":9,"messages":[{"role":"user","content":"hi"}]}'
PICTURE = b"""{"model":"claude-a","max_tokens":5,"messages":[{"role":"user","content":[
    {"type":"image","source":{"type":"url","url":"https://pictures.example/a.png"}}]}]}"""


def told(scene: Scene, dialect: str, body: bytes, rules: Rules | None = None) -> Explanation:
    endpoint = find_endpoint(PATHS[dialect])
    assert endpoint is not None
    inbound = Inbound(
        request_id=uuid7(), account_id=ACCOUNT, key_id=None, headers=[], query=b"alt=sse"
    )
    asked = read_asked(endpoint, scene.registry(), body, b"alt=sse")
    walk = scene.services.walk(session_of(inbound, asked), asked, rules or scene.rules)
    return explain(scene.services.clock.monotonic_s(), asked, walk)


async def went_to(scene: Scene, dialect: str, body: bytes) -> list[str]:
    """Providers in the order they were asked, a retry not counted."""
    await scene.serve(dialect, body)
    order = [
        name
        for asked in scene.vendor.asked
        for name, prefix in PROVIDERS.items()
        if asked.path.startswith(prefix)
    ]
    return list(dict.fromkeys(order))


@pytest.mark.parametrize("dialect", ["openai_chat", "openai_responses", "anthropic_messages"])
async def test_every_target_that_is_named_is_then_asked_in_that_order(
    scene: Scene, dialect: str
) -> None:
    scene.chains = [CHAIN]
    body = (
        BODIES[dialect]
        .replace(b"gpt-a", b"claude-a")
        .replace(b'"messages":[]', b'"messages":[{"role":"user","content":"hi"}]')
    )
    if dialect == "openai_chat":
        body = body.replace(b"{", b'{"messages":[{"role":"user","content":"hi"}],', 1)
    explanation = told(scene, dialect, body)
    scene.vendor.script = answering(503, b"{}")

    assert [one.provider for one in explanation.tries] == await went_to(scene, dialect, body)
    assert [one.stand_in for one in explanation.tries] == [False, True, True]


async def test_a_conversion_and_its_losses_are_named(scene: Scene) -> None:
    scene.chains = [CHAIN]
    body = (
        b'{"model":"claude-a","max_tokens":9,"top_k":3,"messages":[{"role":"user","content":"hi"}]}'
    )
    first, second, third = told(scene, "anthropic_messages", body).tries

    assert (first.conversion, first.dropped) == (None, ())
    assert (second.conversion, second.dropped) == ("openai_chat", ("top_k",))
    assert (third.conversion, third.dropped) == ("gemini_generate", ())


async def test_a_circuit_that_is_open_is_the_reason(scene: Scene) -> None:
    scene.chains = [CHAIN]
    scene.vendor.base_url = "http://127.0.0.1:1"
    await scene.serve("anthropic_messages", PROMPT)
    explanation = told(scene, "anthropic_messages", PROMPT)

    assert {one.reason for one in explanation.passed_over} == {"circuit open"}
    assert len(explanation.tries) <= 1


async def test_a_refused_failover_is_the_reason(scene: Scene) -> None:
    scene.chains = [CHAIN]
    body = BODIES["anthropic_messages"]
    explanation = told(scene, "anthropic_messages", body, Rules(failover=False))

    assert [one.model for one in explanation.tries] == ["claude-a"]
    assert [(one.model, one.reason) for one in explanation.passed_over] == [
        ("gpt-a", "failover is off"),
        ("gemini-a", "failover is off"),
    ]


async def test_a_backup_that_cannot_carry_it_is_passed_over_and_a_fetch_is_noted(
    scene: Scene,
) -> None:
    scene.chains = [CHAIN]
    explanation = told(scene, "anthropic_messages", PICTURE)

    assert [(one.model, one.note is None) for one in explanation.tries] == [
        ("claude-a", True),
        ("gpt-a", True),
        ("gemini-a", False),
    ]


async def test_the_worst_charge_is_the_dearest_of_those_tried(scene: Scene) -> None:
    scene.chains = [CHAIN]
    explanation = told(scene, "anthropic_messages", BODIES["anthropic_messages"])
    each = [int(one.worst_charge_microtokens) for one in explanation.tries]

    assert int(explanation.worst_charge_microtokens) == max(each) > 0


async def test_a_request_that_the_asked_for_model_cannot_carry_is_refused(scene: Scene) -> None:
    scene.chains = [CHAIN]
    with pytest.raises(InvalidRequest):
        told(scene, "openai_responses", b'{"model":"claude-a","input":"hi","background":true}')
