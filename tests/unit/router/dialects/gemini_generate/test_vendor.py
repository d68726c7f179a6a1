"""Whatever is asked, a strict stand-in of the vendor takes what we write."""

from typing import Any, Literal

import msgspec
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from msgspec import Raw

from aibridge_common.dialect import Dialect
from aibridge_router.canonical.content import (
    Block,
    CacheMark,
    Opaque,
    Refusal,
    State,
    Text,
    Thinking,
    ToolCall,
    ToolResult,
)
from aibridge_router.canonical.losses import CannotSay, Losses
from aibridge_router.canonical.profile import Capabilities
from aibridge_router.canonical.request import Reasoning, Request, Tool, ToolChoice, Turn
from aibridge_router.dialects.gemini_generate.codec import CODEC
from aibridge_sandbox.google import checks
from aibridge_sandbox.google.content_rules import check_contents
from aibridge_sandbox.google.tool_rules import check_tools
from aibridge_sandbox.world.catalogue import BUILT_IN, Model
from aibridge_sandbox.world.seal import seal
from tests.unit.router.dialects.gemini_generate.strategies import (
    GEMINI_3,
    output_formats,
    pictures,
    schemas,
)

STRICT = {model.id: model for model in BUILT_IN}
MODELS = {
    "gemini-2.0-flash-exp": Capabilities(),
    "gemini-2.5-pro": Capabilities(reasoning="budget"),
    "gemini-3.5-pro": Capabilities(
        reasoning="level", efforts=("minimal", "low", "medium", "high"), prefill=False
    ),
}

identifiers = st.sampled_from(["a", "b", "c"])
marks = st.sampled_from([None, CacheMark()])
states = st.sampled_from(
    [None, State(provider="google", data=seal("google", "x")), State(provider="openai", data="g")]
)
texts = st.builds(Text, text=st.sampled_from(["", "hi", "é"]), cache=marks)
results = st.builds(
    ToolResult,
    call_id=identifiers,
    blocks=st.lists(texts | pictures, max_size=2),
    is_error=st.booleans(),
)
calls = st.builds(
    ToolCall,
    id=identifiers,
    name=st.sampled_from(["f", "9 lives", "n" * 200, "a.b:c"]),
    arguments=st.sampled_from(["", "{}", '{"a":[1]}']),
    state=states,
)
strange = st.just(Opaque(dialect=Dialect.ANTHROPIC_MESSAGES, kind="x", raw=Raw(b"{}")))
thoughts = st.builds(Thinking, text=st.sampled_from(["", "hm"]), state=states)
refusals = st.just(Refusal(text="no"))


ROLES: list[Literal["user", "assistant", "system"]] = ["user", "assistant", "system"]
roles = st.sampled_from(ROLES)


@st.composite
def turns(draw: st.DrawFn) -> list[Turn]:
    """Any order of anything, as clients that compact and repair their histories leave it."""
    found: list[Turn] = []
    for role in draw(st.lists(roles, max_size=6)):
        kinds = calls | thoughts | texts | refusals if role == "assistant" else texts | results
        blocks: list[Block] = draw(st.lists(kinds | strange, max_size=4))
        seen: set[str] = set()
        once = [
            block
            for block in blocks
            if not isinstance(block, ToolCall) or not (block.id in seen or seen.add(block.id))
        ]
        found.append(Turn(role=role, blocks=once))
    return found


tools = st.builds(
    Tool,
    name=st.sampled_from(["f", "9 lives", "n" * 200, "a.b:c"]),
    schema=st.none() | schemas,
    custom=st.booleans(),
    deferred=st.booleans(),
    strict=st.booleans(),
)
wishes = st.builds(
    Request,
    model=st.just("x"),
    turns=turns(),
    system=st.lists(texts, max_size=2),
    tools=st.lists(tools, max_size=3, unique_by=lambda tool: tool.name),
    tool_choice=st.sampled_from([None, ToolChoice(mode="any"), ToolChoice(mode="auto")]),
    output_tokens_max=st.none() | st.integers(1, 10**7),
    reasoning=st.none()
    | st.builds(
        Reasoning,
        effort=st.sampled_from([None, "off", "minimal", "low", "medium", "high", "xhigh", "max"]),
        budget_tokens=st.sampled_from([None, 1024, 99_999]),
        show=st.sampled_from([None, True]),
    ),
    output_format=st.none() | output_formats,
)


@pytest.mark.parametrize("model", MODELS)
@settings(deadline=None, max_examples=60)
@given(wish=wishes)
def test_the_vendor_takes_what_is_written(model: str, wish: Request) -> None:
    profile = msgspec.structs.replace(GEMINI_3, capabilities=MODELS[model])
    try:
        body = msgspec.json.decode(CODEC.request_to_wire(wish, profile, Losses()))
    except CannotSay as refusal:
        assert refusal.param == "messages"  # noqa: PT017
        return
    check(body, STRICT[model])


def check(body: dict[str, Any], model: Model) -> None:
    """Every check of the stand-in but that of the prompt's length."""
    config = body.get("generationConfig", {})
    checks._check_names(body, checks._FIELDS, "")
    checks._check_names(config, checks._CONFIG_FIELDS, "generation_config")
    check_contents(body, model)
    check_tools(body)
    if config:
        checks._check_config(body, model)
