"""When a provider says that it may be asked again: three spellings of one header."""

from collections.abc import Iterable
from datetime import UTC, datetime
from email.utils import parsedate_to_datetime

LONGEST_S = 3600.0


def retry_after_s(headers: Iterable[tuple[bytes, bytes]], now: datetime) -> float | None:
    """Seconds from now; None where nothing readable is said.

    `retry-after-ms` (OpenAI) is finer than `retry-after`, which is seconds or a date (RFC 9110 §10.2.3).
    """
    seconds: float | None = None
    for name, value in headers:
        if name == b"retry-after-ms":
            said = _number(value)
            if said is not None:
                return min(said / 1000, LONGEST_S)
        elif name == b"retry-after":
            said = _number(value)
            seconds = said if said is not None else _until(value, now)
    return None if seconds is None else min(seconds, LONGEST_S)


def _number(value: bytes) -> float | None:
    try:
        number = float(value)
    except ValueError:
        return None
    return number if 0 <= number < float("inf") else None


def _until(value: bytes, now: datetime) -> float | None:
    try:
        at = parsedate_to_datetime(value.decode("latin-1"))
        if at.tzinfo is None:
            at = at.replace(tzinfo=UTC)
        return max(0.0, (at - now).total_seconds())
    except (ValueError, OverflowError):  # numbers of any length are taken for a date
        return None
