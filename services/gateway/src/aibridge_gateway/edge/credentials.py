"""The caller's key, wherever its client puts it. One function, so that no route can forget a way.

Anthropic's clients send `x-api-key` or, since their version 2, a bearer token; OpenAI's a bearer token; Google's
`x-goog-api-key` or `?key=`. Where several are there `x-api-key` wins, which is Anthropic's own rule.
"""

from collections.abc import Iterable
from urllib.parse import parse_qsl

Headers = Iterable[tuple[bytes, bytes]]

_BEARER = b"bearer "
CREDENTIAL_HEADERS = frozenset({b"authorization", b"x-api-key", b"x-goog-api-key"})


def find_key(headers: Headers, query: bytes) -> str | None:
    """The key as the client sent it, None where it sent none."""
    bearer = api_key = goog = None
    for name, value in headers:
        if name == b"x-api-key":
            api_key = value
        elif name == b"authorization":
            if value[:7].lower() == _BEARER:
                bearer = value[7:].strip()
        elif name == b"x-goog-api-key":
            goog = value
    key = api_key or bearer or goog
    if key is not None:
        return key.decode("latin-1")
    if b"key=" in query:
        return dict(parse_qsl(query.decode("latin-1"))).get("key")
    return None


def without_key(query: bytes) -> bytes:
    """The query string without `key`, which must not travel on."""
    if b"key=" not in query:
        return query
    return b"&".join(part for part in query.split(b"&") if not part.startswith(b"key="))
