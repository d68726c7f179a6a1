"""Streams of Anthropic Messages to events and back: see the module of each direction."""

from aibridge_router.dialects.anthropic_messages.decoder import MessagesDecoder
from aibridge_router.dialects.anthropic_messages.encoder import MessagesEncoder

__all__ = ["MessagesDecoder", "MessagesEncoder"]
