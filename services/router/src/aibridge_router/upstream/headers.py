"""Headers towards a vendor are built from scratch; headers back pass an allow-list."""

from aibridge_common.catalog import Provider

Headers = list[tuple[bytes, bytes]]

_FORWARDED = frozenset(
    {
        b"accept",
        b"anthropic-beta",
        b"anthropic-version",
        b"content-type",
        b"openai-beta",
        b"originator",
        b"session-id",
        b"thread-id",
        b"x-openai-internal-codex-responses-lite",
    }
)
_FORWARDED_PREFIX = b"x-codex-"
_RETURNED = frozenset(
    {b"content-type", b"retry-after", b"retry-after-ms", b"x-should-retry", b"openai-processing-ms"}
)
_UPSTREAM_REQUEST_ID = frozenset({b"request-id", b"x-request-id"})
_USER_AGENT = (b"user-agent", b"AI-Bridge/0.1")
_PLAIN = (b"accept-encoding", b"identity")


def upstream_headers(
    client: Headers, provider: Provider, key: str, request_id: str, *, bearer: bool
) -> Headers:
    """What a vendor gets: what its protocol needs of the client's headers, our key, and our request id.

    `bearer` is for a vendor's OpenAI-compatible endpoint, which takes the key that way whatever its own dialect does.
    """
    headers = [
        header
        for header in client
        if header[0] in _FORWARDED or header[0].startswith(_FORWARDED_PREFIX)
    ]
    headers += (_USER_AGENT, _PLAIN, (b"x-client-request-id", request_id.encode()))
    if bearer or provider.auth == "bearer":
        headers.append((b"authorization", b"Bearer " + key.encode()))
    else:
        headers.append((provider.auth.encode(), key.encode()))
    if provider.headers:
        sent = {name for name, _ in headers}
        for name, value in provider.headers.items():
            field = name.lower().encode()
            if field not in sent:
                headers.append((field, value.encode()))
    return headers


def returned_headers(upstream: Headers) -> Headers:
    """What a client gets of a vendor's headers; the vendor's request id comes under our own name for it."""
    headers: Headers = []
    for name, value in upstream:
        if name in _RETURNED:
            headers.append((name, value))
        elif name in _UPSTREAM_REQUEST_ID:
            headers.append((b"x-aibridge-upstream-request-id", value))
    return headers
