"""Reads JSON that may have any shape: the wrong shape reads as empty, never as an exception."""

from typing import Any


def as_dict(value: Any) -> dict[str, Any]:
    """Empty unless it is a map."""
    return value if isinstance(value, dict) else {}


def as_list(value: Any) -> list[Any]:
    """Empty unless it is a list."""
    return value if isinstance(value, list) else []


def as_str(value: Any) -> str:
    """Empty unless it is a string."""
    return value if isinstance(value, str) else ""


def as_int(value: Any) -> int | None:
    """None unless it is a whole number; a boolean is none."""
    return value if isinstance(value, int) and not isinstance(value, bool) else None


def as_number(value: Any) -> float | None:
    """None unless it is a number; a boolean is none."""
    return value if isinstance(value, int | float) and not isinstance(value, bool) else None


def dicts(value: Any) -> list[dict[str, Any]]:
    """The maps in a list; everything else is skipped."""
    return [item for item in as_list(value) if isinstance(item, dict)]


def text_of(content: Any, *, kinds: tuple[str, ...] = ("text",)) -> str:
    """The text of a string or of a list of typed parts."""
    if isinstance(content, str):
        return content
    parts = [as_str(part.get("text")) for part in dicts(content) if part.get("type") in kinds]
    return "\n".join(part for part in parts if part)


def words(text: str) -> frozenset[str]:
    """A vocabulary, written as one line of text."""
    return frozenset(text.split())
