"""Nothing that looks like a credential leaves the process in a log line."""

import re
from collections.abc import MutableMapping
from typing import Any

_CREDENTIAL = re.compile(
    r"""
      ab-[0-9A-Za-z]{20,}            # our keys
    | sk-[0-9A-Za-z_\-]{12,}         # OpenAI and Anthropic
    | AIza[0-9A-Za-z_\-]{20,}        # Google
    | eyJ[0-9A-Za-z_\-]+\.[0-9A-Za-z_\-]+\.[0-9A-Za-z_\-]*   # JWT
    | (?<=://)[^/@\s:]+:[^/@\s]+(?=@)                       # user:password in a URL
    """,
    re.VERBOSE,
)
MASK = "[redacted]"


def redact(text: str) -> str:
    """`text` with every credential masked."""
    return _CREDENTIAL.sub(MASK, text)


def redact_event(
    _logger: Any, _method: str, event: MutableMapping[str, Any]
) -> MutableMapping[str, Any]:
    """A structlog processor: masks credentials in every string of an event, however deep."""
    for name, value in event.items():
        event[name] = _redact_value(value)
    return event


def _redact_value(value: Any) -> Any:
    if value is None or isinstance(value, bool | int | float):
        return value
    if isinstance(value, dict):
        return {_redact_value(key): _redact_value(item) for key, item in value.items()}
    if isinstance(value, list | tuple | set | frozenset):
        return [_redact_value(item) for item in value]
    return redact(str(value))
