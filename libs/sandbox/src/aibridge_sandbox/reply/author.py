"""Writes the answer: the same request always gets the same words."""

import json

from aibridge_sandbox.reply.answer import (
    Answer,
    Block,
    Decline,
    Invoke,
    Say,
    Stop,
    Thought,
    block_tokens,
)
from aibridge_sandbox.reply.ask import ANY_TOOL, Ask, Tool
from aibridge_sandbox.reply.sample import sample
from aibridge_sandbox.script import Script
from aibridge_sandbox.script import Tool as ScriptedTool
from aibridge_sandbox.tokens import split_tokens

_ECHO_CHARACTERS_MAX = 160
_FILLER = "Every token of this sentence is counted. "


def compose(ask: Ask, script: Script) -> Answer:
    """The answer, within the token cap and up to the first stop sequence."""
    blocks: list[Block] = []
    thought = _thought(ask, script)
    if thought:
        blocks.append(Thought(text=thought))
    blocks.extend(_said(ask, script))
    if ask.schema is None and not ask.json_only:
        blocks, sequence = _stopped(blocks, ask.stops)
    else:
        sequence = None
    blocks, clipped = _clipped(blocks, ask.tokens_max)
    stop: Stop = "end"
    if clipped:
        stop = "length"
    elif sequence is not None:
        stop = "sequence"
    elif any(isinstance(block, Decline) for block in blocks):
        stop = "refusal"
    elif any(isinstance(block, Invoke) for block in blocks):
        stop = "tool"
    return Answer(blocks=tuple(blocks), stop=stop, stop_sequence=sequence, stop_word=script.stop)


def _thought(ask: Ask, script: Script) -> str:
    if isinstance(script.thinking, str):
        return script.thinking
    wanted = ask.thinks if script.thinking is None else script.thinking
    return f"They ask: {_excerpt(ask.text)} I will answer in a few words." if wanted else ""


def _said(ask: Ask, script: Script) -> list[Block]:
    if script.refusal is not None and script.refusal is not False:
        words = script.refusal if isinstance(script.refusal, str) else "I can't help with that."
        return [Decline(text=words)]
    calls = _calls(ask, script)
    if calls:
        return [*([Say(text=script.text)] if script.text else []), *calls]
    text = _text(ask, script)
    return [Say(text=text)] if text else []


def _calls(ask: Ask, script: Script) -> list[Invoke]:
    wish = script.tool
    if wish is None or wish is False:
        wanted = ScriptedTool() if ask.force is not None else None
    elif isinstance(wish, ScriptedTool):
        wanted = wish
    else:
        wanted = ScriptedTool(name=wish if isinstance(wish, str) else None)
    if wanted is None:
        return []
    name = wanted.name or (ask.force if ask.force != ANY_TOOL else None)
    tool = _pick(ask.tools, name)
    if tool is None:
        return []
    if wanted.raw is not None:
        arguments = wanted.raw
    elif wanted.args is not None:
        arguments = json.dumps(wanted.args, ensure_ascii=False)
    elif tool.kind == "custom":
        arguments = "sandbox"
    else:
        arguments = json.dumps(sample(tool.schema), ensure_ascii=False)
    call = Invoke(name=tool.name, arguments=arguments, kind=tool.kind, namespace=tool.namespace)
    return [call] * max(1, wanted.parallel if ask.parallel else 1)


def _pick(tools: tuple[Tool, ...], name: str | None) -> Tool | None:
    """The named tool, declared or not: a script may make the model invent one."""
    for tool in tools:
        if name in {None, tool.name}:
            return tool
    return Tool(name=name, schema={}) if name else None


def _text(ask: Ask, script: Script) -> str:
    if script.text is not None:
        return script.text
    if script.tokens is not None:
        return (_FILLER * (script.tokens // 10 + 1))[: script.tokens * 4]
    word = " ".join(ask.text.split()[:5])[:40] or "sandbox"
    if ask.schema is not None:
        return json.dumps(sample(ask.schema, word), ensure_ascii=False)
    if ask.json_only:
        return json.dumps({"answer": word}, ensure_ascii=False)
    if ask.result is not None:
        return f"The tool answered: {_excerpt(ask.result)}"
    return (
        f'You wrote: "{_excerpt(ask.text)}" '
        f"This is {ask.model} as the AI-Bridge sandbox plays it for {ask.vendor_name}. "
        "No real model ran, but every token was counted as if one had."
    )


def _excerpt(text: str) -> str:
    line = " ".join(text.split())
    return line if len(line) <= _ECHO_CHARACTERS_MAX else line[: _ECHO_CHARACTERS_MAX - 1] + "…"


def _stopped(blocks: list[Block], stops: tuple[str, ...]) -> tuple[list[Block], str | None]:
    """The blocks up to the first stop sequence in visible text."""
    for index, block in enumerate(blocks):
        if not isinstance(block, Say):
            continue
        hits = [(block.text.find(stop), stop) for stop in stops if stop and stop in block.text]
        if hits:
            position, stop = min(hits)
            rest: list[Block] = [Say(text=block.text[:position])] if position else []
            return [*blocks[:index], *rest], stop
    return blocks, None


def _clipped(blocks: list[Block], tokens_max: int | None) -> tuple[list[Block], bool]:
    """The blocks within the cap, and whether anything was lost."""
    if tokens_max is None:
        return blocks, False
    left = tokens_max
    kept: list[Block] = []
    for block in blocks:
        needed = block_tokens(block)
        if needed <= left:
            kept.append(block)
            left -= needed
            continue
        clipped = _clip(block, left)
        return [*kept, *([clipped] if clipped else [])], True
    return kept, False


def _clip(block: Block, tokens: int) -> Block | None:
    match block:
        case Invoke():
            left = max(0, tokens - len(split_tokens(block.name)))
            text = "".join(split_tokens(block.arguments)[:left])
            return Invoke(
                name=block.name, arguments=text, kind=block.kind, namespace=block.namespace
            )
        case Say() | Decline() | Thought():
            text = "".join(split_tokens(block.text)[:tokens])
            return type(block)(text=text) if text else None
