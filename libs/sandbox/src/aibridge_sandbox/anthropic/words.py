"""Anthropic's own words for what is wrong with a request."""

from aibridge_sandbox.refusal import Refusal


def wrong(where: str, message: str) -> Refusal:
    return Refusal(400, f"{where}: {message}")


def required(where: str) -> Refusal:
    return wrong(where, "Field required")


def extra(where: str) -> Refusal:
    return wrong(where, "Extra inputs are not permitted")
