"""What a model tolerates, as data: conversion asks this, never a model's name."""

from typing import Literal

from msgspec import Struct


class Capabilities(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Facts of one model; rows of the catalogue.

    `reasoning` is how it is told to think: not at all, by budget (Anthropic's manual, Gemini 2.5), adaptive with an
    effort (Anthropic), by effort (OpenAI), by level (Gemini 3).
    """

    sampling: bool = True
    reasoning: Literal["none", "budget", "adaptive", "effort", "level"] = "none"
    efforts: tuple[str, ...] = ("low", "medium", "high")
    tools: bool = True
    vision: bool = True
    documents: bool = True
    audio: bool = False
    structured: Literal["native", "tool", "json_only"] = "native"
    system_mid: bool = False
    prefill: bool = True
    stop_max: int = 4


class Profile(Struct, frozen=True, kw_only=True):
    """The target of a conversion."""

    provider: str
    upstream_model: str
    context_tokens: int
    max_output_tokens: int
    capabilities: Capabilities
