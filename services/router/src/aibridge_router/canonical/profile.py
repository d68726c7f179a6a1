"""The target of a conversion, as data: conversion asks this, never a model's name."""

from msgspec import Struct

from aibridge_common.catalog import Capabilities

__all__ = ["Capabilities", "Profile"]


class Profile(Struct, frozen=True, kw_only=True):
    """The target of a conversion."""

    provider: str
    upstream_model: str
    context_tokens: int
    max_output_tokens: int
    capabilities: Capabilities
