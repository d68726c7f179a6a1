"""What a key has left, in the headers that clients of each vendor read. Pure."""

from datetime import datetime, timedelta

from aibridge_common.dialect import Surface
from aibridge_router.limits.meter import Left, Standing

Headers = list[tuple[bytes, bytes]]


def limit_headers(surface: Surface, standing: Standing, now: datetime) -> Headers:
    """One set of three for each limit there is.

    Anthropic's name the time (https://docs.claude.com/en/api/rate-limits), OpenAI's how long it is until then
    (https://platform.openai.com/docs/guides/rate-limits).
    """
    headers: Headers = []
    for what, left in ((b"requests", standing.requests), (b"tokens", standing.tokens)):
        if left is None:
            continue
        if surface is Surface.ANTHROPIC:
            headers += _anthropic(what, left, now)
        else:
            headers += _openai(what, left)
    return headers


def _anthropic(what: bytes, left: Left, now: datetime) -> Headers:
    whole_at = now + timedelta(seconds=left.reset_s)
    name = b"anthropic-ratelimit-" + what
    return [
        (name + b"-limit", b"%d" % left.limit),
        (name + b"-remaining", b"%d" % left.remaining),
        (name + b"-reset", whole_at.strftime("%Y-%m-%dT%H:%M:%SZ").encode()),
    ]


def _openai(what: bytes, left: Left) -> Headers:
    return [
        (b"x-ratelimit-limit-" + what, b"%d" % left.limit),
        (b"x-ratelimit-remaining-" + what, b"%d" % left.remaining),
        (b"x-ratelimit-reset-" + what, b"%.3fs" % left.reset_s),
    ]
