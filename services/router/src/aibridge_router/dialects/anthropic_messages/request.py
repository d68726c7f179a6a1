"""Requests of Anthropic Messages to the hub and back: see the module of each direction."""

from aibridge_router.dialects.anthropic_messages.request_from_wire import request_from_wire
from aibridge_router.dialects.anthropic_messages.request_to_wire import request_to_wire

__all__ = ["request_from_wire", "request_to_wire"]
