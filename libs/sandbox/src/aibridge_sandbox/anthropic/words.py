"""Anthropic's own words for what is wrong with a request."""

from aibridge_sandbox.refusal import Refusal


def wrong(where: str, message: str) -> Refusal:
    """A 400 that names the place."""
    return Refusal(400, f"{where}: {message}")


def required(where: str) -> Refusal:
    """A field that is absent."""
    return wrong(where, "Field required")


def extra(where: str) -> Refusal:
    """A field that nobody knows."""
    return wrong(where, "Extra inputs are not permitted")
