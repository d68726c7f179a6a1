"""The models the stand-in vendors know, and what each can do."""

from typing import Literal

import msgspec

Vendor = Literal["openai", "anthropic", "google"]
Thinking = Literal["none", "manual", "adaptive", "effort", "budget", "level"]


class Model(msgspec.Struct, frozen=True, kw_only=True):
    """One model; strict mode refuses what it cannot do."""

    id: str
    vendor: Vendor
    context_tokens: int = 200_000
    output_tokens_max: int = 64_000
    sampling: bool = True
    thinking: Thinking = "none"
    efforts: tuple[str, ...] = ()
    effort_default: str = "none"
    structured: bool = True
    prefill: bool = True
    """Whether the last message may be the assistant's."""
    system_mid: bool = False
    """Whether `role: system` is legal inside `messages`."""
    chat_tools: bool = True
    """False: tools with a reasoning effort only work on /responses."""
    stop: bool = True
    signatures: bool = False
    """Whether a function call must come back with its thought signature."""
    embedding: bool = False


_GPT_EFFORTS = ("none", "low", "medium", "high", "xhigh")


def _claude_old(name: str, output_tokens_max: int) -> Model:
    return Model(id=name, vendor="anthropic", output_tokens_max=output_tokens_max, structured=False)


def _claude_manual(name: str) -> Model:
    return Model(id=name, vendor="anthropic", thinking="manual")


def _claude_5(name: str) -> Model:
    return Model(
        id=name,
        vendor="anthropic",
        context_tokens=1_000_000,
        output_tokens_max=128_000,
        sampling=False,
        thinking="adaptive",
        efforts=("low", "medium", "high", "xhigh", "max"),
        prefill=False,
        system_mid=True,
    )


def _gpt_4(name: str, output_tokens_max: int = 16_384) -> Model:
    return Model(
        id=name, vendor="openai", context_tokens=128_000, output_tokens_max=output_tokens_max
    )


def _gpt_o(name: str) -> Model:
    efforts = ("low", "medium", "high")
    return Model(
        id=name,
        vendor="openai",
        output_tokens_max=100_000,
        sampling=False,
        thinking="effort",
        efforts=efforts,
        effort_default="medium",
        stop=False,
    )


def _gpt_5(name: str, *, efforts: tuple[str, ...] = _GPT_EFFORTS) -> Model:
    return Model(
        id=name,
        vendor="openai",
        context_tokens=1_000_000,
        output_tokens_max=128_000,
        sampling=False,
        thinking="effort",
        efforts=efforts,
        effort_default="none" if "none" in efforts else "medium",
        chat_tools=False,
    )


def _gemini(name: str, thinking: Thinking) -> Model:
    return Model(
        id=name,
        vendor="google",
        context_tokens=1_048_576,
        output_tokens_max=65_536,
        thinking=thinking,
        efforts=("minimal", "low", "medium", "high") if thinking == "level" else (),
        prefill=thinking != "level",
        signatures=thinking == "level",
    )


BUILT_IN: tuple[Model, ...] = (
    _claude_old("claude-3-opus-20240229", 4_096),
    _claude_old("claude-3-5-haiku-20241022", 8_192),
    _claude_old("claude-3-5-sonnet-20241022", 8_192),
    _claude_manual("claude-haiku-4-5-20251001"),
    _claude_manual("claude-sonnet-4-5"),
    _claude_5("claude-haiku-5-5"),
    _claude_5("claude-sonnet-5-5"),
    _claude_5("claude-opus-5-5"),
    _gpt_4("gpt-4o"),
    _gpt_4("gpt-4o-mini"),
    _gpt_4("gpt-4.1", 32_768),
    _gpt_o("o3"),
    _gpt_o("o4-mini"),
    _gpt_5("gpt-5.4"),
    _gpt_5("gpt-5.4-nano"),
    _gpt_5("gpt-5.5"),
    _gpt_5("gpt-6.1-sol", efforts=_GPT_EFFORTS[1:]),
    Model(id="text-embedding-3-small", vendor="openai", context_tokens=8_191, embedding=True),
    _gemini("gemini-2.0-flash-exp", "none"),
    _gemini("gemini-2.0-pro-exp", "none"),
    _gemini("gemini-2.5-flash", "budget"),
    _gemini("gemini-2.5-pro", "budget"),
    _gemini("gemini-3.5-flash", "level"),
    _gemini("gemini-3.5-flash-lite", "level"),
    _gemini("gemini-3.5-pro", "level"),
    _gemini("gemini-3.8-flash", "level"),
)


class Catalogue:
    """Models by vendor and id."""

    def __init__(self, extra: tuple[str, ...] = ()) -> None:
        """Raises `ValueError` for a word that is not `vendor/id` or `vendor/id=known-id`."""
        self._models = {(model.vendor, model.id): model for model in BUILT_IN}
        for word in extra:
            model = self._extension(word)
            self._models[model.vendor, model.id] = model

    def _extension(self, word: str) -> Model:
        name, _, like = word.partition("=")
        vendor, _, model_id = name.partition("/")
        if vendor not in ("openai", "anthropic", "google") or not model_id:
            raise ValueError(f"a model is vendor/id or vendor/id=known-id, not {word!r}")
        if not like:
            return msgspec.convert({"id": model_id, "vendor": vendor}, Model)
        known = next((model for (_, key), model in self._models.items() if key == like), None)
        if known is None:
            raise ValueError(f"no model {like!r} to copy for {word!r}")
        return msgspec.convert({**msgspec.structs.asdict(known), "id": model_id}, Model)

    def find(self, vendor: Vendor, model_id: str) -> Model | None:
        """None if the vendor has no such model."""
        return self._models.get((vendor, model_id))

    def of(self, vendor: Vendor) -> list[Model]:
        """A vendor's models, the added ones last."""
        return [model for model in self._models.values() if model.vendor == vendor]
