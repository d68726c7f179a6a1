"""Requests, tokens and spending of one key, as time passes."""

from datetime import UTC, date, datetime, timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from aibridge_common.limits import KeyLimits
from aibridge_common.usage import MICROTOKENS_PER_TOKEN
from aibridge_router.limits.meter import Bucket, KeyLimitReached, KeyMeter, Left, Spending

NOW = datetime(2026, 5, 30, 22, tzinfo=UTC)


def meter(**limits: int) -> KeyMeter:
    return KeyMeter(KeyLimits(**limits), 0.0, NOW)  # pyright: ignore[reportArgumentType]


def refusal(of: KeyMeter, now_s: float = 0.0, now: datetime = NOW) -> KeyLimitReached:
    with pytest.raises(KeyLimitReached) as refused:
        of.enter(now_s, now)
    return refused.value


class TestRequests:
    def test_as_many_as_the_limit_at_once_and_then_one_by_one(self) -> None:
        key = meter(requests_per_minute=3)
        for _ in range(3):
            key.enter(0.0, NOW)

        assert refusal(key).retry_after_s == 20
        key.enter(20.0, NOW)
        assert refusal(key, 20.0).retry_after_s == 20
        assert "3 requests a minute" in refusal(key, 20.0).message

    def test_a_refused_request_is_not_counted(self) -> None:
        key = meter(requests_per_minute=1)
        key.enter(0.0, NOW)
        for second in range(1, 60):
            refusal(key, second)
        key.enter(60.0, NOW)

    def test_what_is_left_is_said(self) -> None:
        key = meter(requests_per_minute=60)
        key.enter(0.0, NOW)
        key.enter(0.0, NOW)

        assert key.standing(0.0).requests == Left(60, 58, 2.0)
        assert key.standing(0.0).tokens is None


class TestTokens:
    def test_a_large_answer_is_worked_off(self) -> None:
        key = meter(tokens_per_minute=600)
        key.enter(0.0, NOW)
        key.charged(0.0, NOW, 1200, 0)

        assert refusal(key).retry_after_s == 61
        refusal(key, 60.0)
        key.enter(60.2, NOW)

    def test_a_request_refused_for_tokens_takes_no_request(self) -> None:
        key = meter(tokens_per_minute=600, requests_per_minute=2)
        key.enter(0.0, NOW)
        key.charged(0.0, NOW, 1000, 0)
        for _ in range(5):
            refusal(key)

        left = key.standing(0.0)
        assert left.requests is not None
        assert left.requests.remaining == 1
        assert left.tokens is not None
        assert left.tokens.remaining == 0


class TestSpending:
    def test_a_day_ends_at_midnight_in_utc(self) -> None:
        key = meter(spend_per_day_tokens=10)
        key.charged(0.0, NOW, 0, 10 * MICROTOKENS_PER_TOKEN - 1)
        key.enter(0.0, NOW)
        key.charged(0.0, NOW, 0, 1)

        error = refusal(key)
        assert (error.retry_after_s, error.final) == (2 * 3600, True)
        assert "10 tokens that it may in a day" in error.message
        key.enter(0.0, NOW + timedelta(hours=2))

    def test_a_month_ends_with_its_last_day(self) -> None:
        key = meter(spend_per_month_tokens=10)
        key.charged(0.0, NOW, 0, 10 * MICROTOKENS_PER_TOKEN)

        assert refusal(key).retry_after_s == 26 * 3600
        assert refusal(key, 0.0, NOW + timedelta(hours=2)).retry_after_s == 24 * 3600
        key.enter(0.0, NOW + timedelta(hours=26))

    def test_what_billing_knows_and_what_we_know_is_not_added(self) -> None:
        spending = Spending(date(2026, 5, 30))
        spending.add(5)
        spending.learn(date(2026, 5, 30), 3, 9)
        assert (spending.day_microtokens, spending.month_microtokens) == (5, 9)

    def test_an_answer_about_yesterday_is_passed_over(self) -> None:
        spending = Spending(date(2026, 5, 30))
        spending.turn_to(date(2026, 5, 31))
        spending.learn(date(2026, 5, 30), 3, 9)
        assert (spending.day_microtokens, spending.month_microtokens) == (0, 0)


class TestOtherLimits:
    def test_a_changed_limit_keeps_what_was_used(self) -> None:
        key = meter(requests_per_minute=10)
        for _ in range(8):
            key.enter(0.0, NOW)
        key.follow(KeyLimits(requests_per_minute=5), 0.0)
        refusal(key)
        key.follow(KeyLimits(requests_per_minute=9), 0.0)
        key.enter(0.0, NOW)
        refusal(key)
        key.follow(KeyLimits(), 0.0)
        key.enter(0.0, NOW)

    def test_a_limit_that_is_new_begins_full(self) -> None:
        key = meter()
        key.charged(0.0, NOW, 10**6, 0)
        key.follow(KeyLimits(tokens_per_minute=100), 0.0)
        key.enter(0.0, NOW)


@given(
    per_minute=st.integers(1, 10**6),
    asked=st.lists(st.floats(0, 120, allow_nan=False), max_size=300),
)
def test_a_bucket_gives_at_most_its_limit_and_what_flowed_in(
    per_minute: int, asked: list[float]
) -> None:
    bucket, given_out = Bucket(per_minute, 0.0), 0
    for now_s in sorted(asked):
        if bucket.level(now_s) >= 1:
            bucket.take(now_s, 1)
            given_out += 1
        assert given_out <= per_minute * (1 + now_s / 60) + 1e-6
