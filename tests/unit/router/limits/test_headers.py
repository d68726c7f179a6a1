"""Clients of each vendor read what is left where they look for it."""

from datetime import UTC, datetime

import pytest

from aibridge_common.dialect import Surface
from aibridge_router.limits.headers import limit_headers
from aibridge_router.limits.meter import Left, Standing

NOW = datetime(2026, 5, 30, 22, 59, 30, tzinfo=UTC)
STANDING = Standing(Left(60, 58, 2.0), Left(1000, 0, 61.5))


def test_anthropics_say_when() -> None:
    assert dict(limit_headers(Surface.ANTHROPIC, STANDING, NOW)) == {
        b"anthropic-ratelimit-requests-limit": b"60",
        b"anthropic-ratelimit-requests-remaining": b"58",
        b"anthropic-ratelimit-requests-reset": b"2026-05-30T22:59:32Z",
        b"anthropic-ratelimit-tokens-limit": b"1000",
        b"anthropic-ratelimit-tokens-remaining": b"0",
        b"anthropic-ratelimit-tokens-reset": b"2026-05-30T23:00:31Z",
    }


@pytest.mark.parametrize("surface", [Surface.OPENAI, Surface.GEMINI])
def test_the_others_say_how_long(surface: Surface) -> None:
    assert dict(limit_headers(surface, Standing(STANDING.requests), NOW)) == {
        b"x-ratelimit-limit-requests": b"60",
        b"x-ratelimit-remaining-requests": b"58",
        b"x-ratelimit-reset-requests": b"2.000s",
    }


def test_no_limit_says_nothing() -> None:
    assert limit_headers(Surface.OPENAI, Standing(), NOW) == []
