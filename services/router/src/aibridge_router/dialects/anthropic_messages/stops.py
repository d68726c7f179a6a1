"""Why an answer ended, in the vendor's words and the hub's."""

from aibridge_router.canonical.response import Stop, StopReason

_FROM_WIRE: dict[str | None, StopReason] = {
    "end_turn": "end",
    "max_tokens": "max_tokens",
    "stop_sequence": "stop_sequence",
    "tool_use": "tool_use",
    "refusal": "refusal",
    "model_context_window_exceeded": "context_full",
    "pause_turn": "pause",
}
_TO_WIRE: dict[StopReason, str] = {
    "end": "end_turn",
    "max_tokens": "max_tokens",
    "stop_sequence": "stop_sequence",
    "tool_use": "tool_use",
    "refusal": "refusal",
    "context_full": "model_context_window_exceeded",
    "pause": "pause_turn",
}


def stop_from_wire(reason: str | None, sequence: str | None, *, calls: bool) -> Stop:
    """An unknown reason is an end. Calls that are not there end nothing: the only one was our own answer tool."""
    known = _FROM_WIRE.get(reason, "end")
    if known == "tool_use" and not calls:
        known = "end"
    elif reason is None and calls:
        known = "tool_use"
    return Stop(reason=known, sequence=sequence)


def stop_to_wire(stop: Stop, *, calls: bool, refused: bool) -> str:
    """The reason by what was really said: clients run tools only behind `tool_use`, and wait for one behind it."""
    if stop.reason in {"end", "tool_use"}:
        if calls:
            return "tool_use"
        return "refusal" if refused else "end_turn"
    return _TO_WIRE[stop.reason]
