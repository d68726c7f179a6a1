"""What a router remembers of its ways, and what routers tell each other."""

import random
from uuid import UUID

import pytest
from hypothesis import given
from hypothesis import strategies as st

from aibridge_router.failover.breaker import FAILURES_IN_A_ROW, OPEN_S_MAX, SUCCESSES_TO_CLOSE
from aibridge_router.failover.failure import Failure
from aibridge_router.failover.health import (
    COOL_S_MAX,
    EJECT_S,
    LAST_WAY_EVERY_S,
    Change,
    Health,
    Notice,
    Way,
)

KEY, OTHER_KEY = UUID(int=1), UUID(int=2)
WAY: Way = ("anthropic", KEY, "claude-a")
SAME_KEY: Way = ("anthropic", KEY, "claude-b")
SAME_MODEL: Way = ("anthropic", OTHER_KEY, "claude-a")
ELSEWHERE: Way = ("bedrock", UUID(int=3), "claude-a")
WAYS = (WAY, SAME_KEY, SAME_MODEL, ELSEWHERE)
NOW_S = 1000.0


def health() -> Health:
    return Health(random.Random(1))


def fail(
    one: Health, failure: Failure, way: Way = WAY, *, retry_after_s: float | None = None
) -> None:
    probe = one.begin(NOW_S, way)
    one.failed(NOW_S, way, failure, probe=probe, retry_after_s=retry_after_s)


def succeed(one: Health, now_s: float = NOW_S, way: Way = WAY) -> None:
    one.succeeded(now_s, way, probe=one.begin(now_s, way))


def well(one: Health, now_s: float = NOW_S) -> set[Way]:
    return {way for way in WAYS if one.why_not(now_s, way) is None}


def changes(one: Health) -> list[tuple[Change, UUID | None, str | None]]:
    return [(notice.change, notice.key, notice.model) for notice in one.take_notices()]


class TestEjection:
    @pytest.mark.parametrize(
        ("failure", "left"),
        [
            (Failure.CREDENTIAL, {SAME_MODEL, ELSEWHERE}),
            (Failure.MONEY, {SAME_MODEL, ELSEWHERE}),
            (Failure.ACCESS, {SAME_KEY, SAME_MODEL, ELSEWHERE}),
            (Failure.MODEL_GONE, {SAME_KEY, ELSEWHERE}),
        ],
    )
    def test_takes_out_what_is_at_fault_and_no_more(self, failure: Failure, left: set[Way]) -> None:
        one = health()
        fail(one, failure)

        assert well(one) == left
        assert well(one, NOW_S + EJECT_S - 1) == left
        assert well(one, NOW_S + EJECT_S) == set(WAYS)

    def test_says_why_and_for_how_long(self) -> None:
        one = health()
        fail(one, Failure.MONEY)

        assert one.why_not(NOW_S + 10, WAY) == "ejected after money, 590 s left"
        assert one.rests_for_s(NOW_S + 10, SAME_KEY) == EJECT_S - 10
        assert one.rests_for_s(NOW_S + 10, ELSEWHERE) == 0

    def test_ends_with_a_success_and_the_others_hear_of_it(self) -> None:
        one = health()
        fail(one, Failure.CREDENTIAL)
        one.take_notices()
        succeed(one, NOW_S + 6)

        assert well(one, NOW_S + 6) == set(WAYS)
        assert changes(one) == [(Change.CLOSED, KEY, "claude-a")]

    def test_of_another_key_stays_after_a_success(self) -> None:
        one = health()
        fail(one, Failure.CREDENTIAL)
        succeed(one, NOW_S, SAME_MODEL)

        assert well(one) == {SAME_MODEL, ELSEWHERE}

    def test_that_is_over_is_forgotten_with_the_next_success(self) -> None:
        one = health()
        fail(one, Failure.CREDENTIAL)
        succeed(one, NOW_S + EJECT_S, ELSEWHERE)

        assert one._ejected == {}

    @pytest.mark.parametrize(
        "failure",
        [Failure.CALLER, Failure.REFUSED, Failure.OVERFLOW, Failure.REGION, Failure.EGRESS],
    )
    def test_does_not_follow_from_what_is_not_the_ways_fault(self, failure: Failure) -> None:
        one = health()
        for _ in range(30):
            fail(one, failure)

        assert well(one) == set(WAYS)
        assert changes(one) == []


class TestCoolDown:
    @pytest.mark.parametrize(
        ("said_s", "wait_s"),
        [(None, 5.0), (0.0, 0.0), (12.5, 12.5), (60.0, 60.0), (3600.0, 60.0)],
    )
    def test_honours_what_the_vendor_says_within_reason(
        self, said_s: float | None, wait_s: float
    ) -> None:
        one = health()
        fail(one, Failure.RATE_LIMIT, retry_after_s=said_s)

        assert one.cools_for_s(NOW_S, WAY) == wait_s
        if wait_s:
            assert well(one, NOW_S + wait_s - 0.1) == {SAME_MODEL, ELSEWHERE}
        assert well(one, NOW_S + wait_s) == set(WAYS)

    def test_says_how_long_it_lasts(self) -> None:
        one = health()
        fail(one, Failure.RATE_LIMIT, retry_after_s=20)

        assert one.why_not(NOW_S, WAY) == "the key cools down, 20 s left"
        assert one.rests_for_s(NOW_S, WAY) == 20

    def test_does_not_open_the_breaker(self) -> None:
        one = health()
        for _ in range(30):
            fail(one, Failure.RATE_LIMIT, retry_after_s=0)

        assert well(one) == set(WAYS)


class TestBreakers:
    @pytest.mark.parametrize("failure", [Failure.SILENT, Failure.UNREACHABLE])
    def test_open_at_once_where_failing_costs_a_wait(self, failure: Failure) -> None:
        one = health()
        fail(one, failure)

        assert one.why_not(NOW_S, WAY) == "circuit open"
        assert 0 < one.rests_for_s(NOW_S, WAY) <= OPEN_S_MAX
        assert well(one) == {SAME_KEY, SAME_MODEL, ELSEWHERE}

    @pytest.mark.parametrize("failure", [Failure.TRANSIENT, Failure.MALFORMED, Failure.DROPPED])
    def test_open_after_several_of_the_rest(self, failure: Failure) -> None:
        one = health()
        for _ in range(FAILURES_IN_A_ROW - 1):
            fail(one, failure)
        before = well(one)
        fail(one, failure)

        assert before == set(WAYS)
        assert WAY not in well(one)

    def test_let_one_request_try(self) -> None:
        one = health()
        fail(one, Failure.SILENT)
        later_s = NOW_S + OPEN_S_MAX

        assert one.begin(later_s, WAY) is True
        assert one.why_not(later_s, WAY) == "circuit half-open, being probed"

        one.abandoned(WAY, probe=True)

        assert one.why_not(later_s, WAY) is None

    def test_give_the_place_back_when_the_key_is_refused(self) -> None:
        one = health()
        fail(one, Failure.SILENT)
        later_s = NOW_S + OPEN_S_MAX
        one.failed(later_s, WAY, Failure.RATE_LIMIT, probe=one.begin(later_s, WAY), retry_after_s=0)

        assert one.begin(later_s, WAY) is True

    def test_tell_what_they_do(self) -> None:
        one = health()
        fail(one, Failure.SILENT)
        (opened,) = one.take_notices()
        for _ in range(SUCCESSES_TO_CLOSE):
            succeed(one, NOW_S + OPEN_S_MAX)

        assert (opened.change, opened.failure) == (Change.OPENED, "silent")
        assert 0 < opened.for_s <= OPEN_S_MAX
        assert changes(one) == [(Change.CLOSED, KEY, "claude-a")]
        assert one.take_notices() == []

    def test_know_whether_others_were_served_just_now(self) -> None:
        one = health()
        never = one.is_otherwise_fine(NOW_S, WAY)
        succeed(one)

        assert (never, one.is_otherwise_fine(NOW_S, WAY)) == (False, True)


class TestRetries:
    def test_are_a_share_of_a_providers_requests(self) -> None:
        one = health()
        while one.may_retry(NOW_S, "anthropic"):
            pass
        for _ in range(20):
            succeed(one)

        assert one.may_retry(NOW_S, "bedrock")
        assert [one.may_retry(NOW_S, "anthropic") for _ in range(3)] == [True, True, False]


class TestLastWay:
    def test_of_an_ejected_key_is_tried_now_and_then(self) -> None:
        one = health()
        fail(one, Failure.MONEY)
        tried = [
            n for n in range(200) if one.last_way(NOW_S + n / 10, WAY)
        ]  # the first was the failure itself

        assert tried == [n for n in range(1, 200) if n % int(LAST_WAY_EVERY_S * 10) == 0]

    def test_is_no_way_while_the_vendor_asked_for_rest(self) -> None:
        one = health()
        fail(one, Failure.RATE_LIMIT, retry_after_s=9)

        assert not one.last_way(NOW_S + 8.9, WAY)
        assert one.last_way(NOW_S + 9, WAY)

    def test_through_an_open_breaker_is_for_few(self) -> None:
        one = health()
        fail(one, Failure.SILENT)
        passed = [one.last_way(NOW_S, WAY) for _ in range(100)]

        assert passed[0]
        assert sum(passed) < 20

    def test_that_is_well_is_open_to_all(self) -> None:
        one = health()

        assert one.last_way(NOW_S, WAY)

        succeed(one)

        assert one.last_way(NOW_S, WAY)


def notice(
    change: Change, key: UUID | None = KEY, model: str | None = "claude-a", for_s: float = 30.0
) -> Notice:
    return Notice(
        change=change, provider="anthropic", key=key, model=model, for_s=for_s, failure="money"
    )


class TestHearing:
    def test_of_an_opening_opens_what_was_closed(self) -> None:
        one = health()
        one.hear(NOW_S, notice(Change.OPENED))

        assert one.why_not(NOW_S, WAY) == "circuit open"
        assert one.rests_for_s(NOW_S, WAY) <= OPEN_S_MAX

    def test_of_an_opening_does_not_prolong_our_own(self) -> None:
        one = health()
        fail(one, Failure.SILENT)
        rests_s = one.rests_for_s(NOW_S, WAY)
        one.hear(NOW_S + 0.1, notice(Change.OPENED))

        assert one.rests_for_s(NOW_S, WAY) == rests_s

    def test_of_a_closing_lets_the_next_request_try(self) -> None:
        one = health()
        fail(one, Failure.SILENT)
        one.hear(NOW_S, notice(Change.CLOSED))

        assert one.begin(NOW_S, WAY) is True
        assert one.why_not(NOW_S, WAY) == "circuit half-open, being probed"

    @pytest.mark.parametrize(
        ("key", "model", "left"),
        [
            (KEY, None, {SAME_MODEL, ELSEWHERE}),
            (None, "claude-a", {SAME_KEY, ELSEWHERE}),
            (KEY, "claude-a", {SAME_KEY, SAME_MODEL, ELSEWHERE}),
        ],
    )
    def test_of_an_ejection_ejects_and_of_its_end_readmits(
        self, key: UUID | None, model: str | None, left: set[Way]
    ) -> None:
        one = health()
        one.hear(NOW_S, notice(Change.EJECTED, key, model))
        ejected = well(one)
        over = well(one, NOW_S + 30)
        one.hear(NOW_S, notice(Change.EJECTED, key, model))
        one.hear(NOW_S, notice(Change.CLOSED))

        assert (ejected, over) == (left, set(WAYS))
        assert well(one) == set(WAYS)

    def test_of_a_cool_down_rests_the_key(self) -> None:
        one = health()
        one.hear(NOW_S, notice(Change.COOLS, for_s=20))

        assert well(one) == {SAME_MODEL, ELSEWHERE}
        assert one.cools_for_s(NOW_S, WAY) == 20

    def test_of_less_does_not_shorten_what_we_saw(self) -> None:
        one = health()
        fail(one, Failure.MONEY)
        fail(one, Failure.RATE_LIMIT, SAME_MODEL, retry_after_s=50)
        one.hear(NOW_S, notice(Change.EJECTED, KEY, None, for_s=1))
        one.hear(NOW_S, notice(Change.COOLS, OTHER_KEY, for_s=1))

        assert one.rests_for_s(NOW_S, WAY) == EJECT_S
        assert one.rests_for_s(NOW_S, SAME_MODEL) == 50

    @pytest.mark.parametrize("for_s", [-5.0, 1e12])
    def test_of_absurd_times_is_bounded(self, for_s: float) -> None:
        one = health()
        one.hear(NOW_S, notice(Change.EJECTED, for_s=for_s))
        one.hear(NOW_S, notice(Change.COOLS, OTHER_KEY, for_s=for_s))

        assert one.rests_for_s(NOW_S, WAY) in {0, EJECT_S}
        assert one.cools_for_s(NOW_S, SAME_MODEL) in {0, COOL_S_MAX}

    @pytest.mark.parametrize("change", [Change.OPENED, Change.CLOSED, Change.COOLS])
    def test_of_no_key_says_nothing(self, change: Change) -> None:
        one = health()
        one.hear(NOW_S, notice(change, None))

        assert well(one) == set(WAYS)

    @pytest.mark.parametrize("change", [Change.OPENED, Change.CLOSED])
    def test_of_no_model_says_nothing_about_a_breaker(self, change: Change) -> None:
        one = health()
        one.hear(NOW_S, notice(change, KEY, None))

        assert well(one) == set(WAYS)

    @given(
        st.lists(
            st.builds(
                Notice,
                change=st.sampled_from(Change),
                provider=st.sampled_from(["anthropic", "bedrock"]),
                key=st.sampled_from([KEY, OTHER_KEY, None]),
                model=st.sampled_from(["claude-a", "claude-b", None]),
                for_s=st.floats(allow_nan=False),
            ),
            max_size=20,
        )
    )
    def test_is_never_passed_on(self, notices: list[Notice]) -> None:
        """Otherwise routers would tell each other the same for ever."""
        one = health()
        for heard in notices:
            one.hear(NOW_S, heard)

        assert one.take_notices() == []
        assert all(one.rests_for_s(NOW_S, way) <= EJECT_S for way in WAYS)


def exchange_notices(one: Health, other: Health, now_s: float) -> int:
    told = [(one.take_notices(), other), (other.take_notices(), one)]
    for notices, hearer in told:
        for heard in notices:
            hearer.hear(now_s, heard)
    return sum(len(notices) for notices, _ in told)


class TestTwoRouters:
    @given(
        st.lists(
            st.tuples(st.booleans(), st.sampled_from(WAYS), st.sampled_from([*Failure, None])),
            max_size=20,
        )
    )
    def test_agree_in_the_end_and_fall_silent(
        self, seen: list[tuple[bool, Way, Failure | None]]
    ) -> None:
        one, other = Health(random.Random(1)), Health(random.Random(2))
        for first, way, failure in seen:
            router = one if first else other
            succeed(router, NOW_S, way) if failure is None else fail(router, failure, way)
        exchange_notices(one, other, NOW_S)

        assert exchange_notices(one, other, NOW_S) == 0

        for way in WAYS:
            for router in (one, other):
                for _ in range(SUCCESSES_TO_CLOSE):
                    succeed(router, NOW_S + COOL_S_MAX, way)
                exchange_notices(one, other, NOW_S + COOL_S_MAX)

        assert well(one, NOW_S + COOL_S_MAX) == well(other, NOW_S + COOL_S_MAX) == set(WAYS)

    @pytest.mark.parametrize(
        "failure",
        [Failure.CREDENTIAL, Failure.ACCESS, Failure.MODEL_GONE, Failure.SILENT],
    )
    def test_learn_of_a_death_and_of_a_return(self, failure: Failure) -> None:
        one, other = Health(random.Random(1)), Health(random.Random(2))
        fail(one, failure)
        exchange_notices(one, other, NOW_S)
        seen, heard = well(one), well(other)
        for _ in range(SUCCESSES_TO_CLOSE):
            succeed(other, NOW_S + OPEN_S_MAX)
        exchange_notices(one, other, NOW_S + OPEN_S_MAX)

        assert seen == heard
        assert WAY not in heard
        assert WAY in well(one, NOW_S + OPEN_S_MAX)
        assert WAY in well(other, NOW_S + OPEN_S_MAX)


class TestStatus:
    def test_lists_every_way_that_was_used(self) -> None:
        one = health()
        succeed(one, NOW_S, ELSEWHERE)
        fail(one, Failure.SILENT)
        fail(one, Failure.MONEY, SAME_MODEL)
        seen = {
            (way.provider, way.key_id, way.model): (way.state, way.reason)
            for way in one.status(NOW_S)
        }

        assert seen == {
            WAY: ("open", "circuit open"),
            SAME_MODEL: ("closed", "ejected after money, 600 s left"),
            ELSEWHERE: ("closed", ""),
        }

    def test_says_when_a_way_is_tried_again(self) -> None:
        one = health()
        fail(one, Failure.MONEY)
        fail(one, Failure.RATE_LIMIT, SAME_MODEL, retry_after_s=7)
        waits = {way.key_id: way.retry_in_s for way in one.status(NOW_S)}

        assert waits == {KEY: EJECT_S, OTHER_KEY: 7}


class TestForgetting:
    def test_a_provider_is_tried_anew_here_and_elsewhere(self) -> None:
        one, other = health(), health()
        way = WAYS[0]
        for failure in (Failure.CREDENTIAL, Failure.RATE_LIMIT, Failure.SILENT):
            one.failed(NOW_S, way, failure, probe=False)
        exchange_notices(one, other, NOW_S)

        assert one.why_not(NOW_S, way) is not None
        assert other.why_not(NOW_S, way) is not None

        one.forget(way[0])
        exchange_notices(one, other, NOW_S)

        assert one.why_not(NOW_S, way) is None
        assert other.why_not(NOW_S, way) is None

    def test_other_providers_stay_as_they_are(self) -> None:
        one = health()
        way = WAYS[0]
        one.failed(NOW_S, way, Failure.SILENT, probe=False)
        one.forget("another")

        assert one.why_not(NOW_S, way) is not None
