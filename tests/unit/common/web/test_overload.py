"""A worker admits what it can serve, and learns what that is from how late its loop runs."""

import asyncio
import time

import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, rule

from aibridge_common.errors import Unavailable
from aibridge_common.web.overload import FLOOR, LAG_MAX_S, Limiter, watch_lag

LATE_S, IN_TIME_S = 2 * LAG_MAX_S, 0.0


def filled(ceiling: int, running: int) -> Limiter:
    limiter = Limiter(ceiling)
    for _ in range(running):
        limiter.enter()
    return limiter


class TestAdmission:
    def test_beyond_the_limit_a_request_is_refused_at_once(self) -> None:
        limiter = filled(20, 20)

        with pytest.raises(Unavailable) as refusal:
            limiter.enter()
        assert refusal.value.retry_after_s == 1
        assert limiter.running == 20

    def test_one_that_ends_makes_room(self) -> None:
        limiter = filled(20, 20)
        limiter.leave()
        limiter.enter()

        assert limiter.running == 20

    def test_what_costs_nothing_goes_first(self) -> None:
        limiter = filled(20, 15)
        limiter.enter(shed_first=True)

        with pytest.raises(Unavailable):
            limiter.enter(shed_first=True)
        limiter.enter()

        assert limiter.running == 17


class TestLearning:
    def test_a_hiccup_costs_a_tenth(self) -> None:
        limiter = filled(1000, 500)
        limiter.observe(LATE_S)

        assert limiter.limit == 900

    def test_a_lasting_overload_halves_it_within_seven_late_ticks(self) -> None:
        limiter = filled(1000, 500)
        for _ in range(7):
            limiter.observe(LATE_S)

        assert limiter.limit < 500

    def test_in_time_it_grows_by_one_a_tick_up_to_the_ceiling(self) -> None:
        limiter = filled(1000, 500)
        limiter.observe(LATE_S)
        limiter.observe(IN_TIME_S)
        assert limiter.limit == 901

        for _ in range(200):
            limiter.observe(LAG_MAX_S)
        assert limiter.limit == 1000

    def test_few_requests_are_not_to_blame_for_lag(self) -> None:
        limiter = filled(1000, FLOOR)
        for _ in range(100):
            limiter.observe(LATE_S)

        assert limiter.limit == 1000

    def test_the_floor_is_served_whatever_happens(self) -> None:
        limiter = filled(1000, 500)
        for _ in range(1000):
            limiter.observe(LATE_S)
        for _ in range(500 - FLOOR + 1):
            limiter.leave()
        limiter.enter()

        assert limiter.limit == FLOOR
        with pytest.raises(Unavailable):
            limiter.enter()

    @given(st.integers(-5, 5))
    def test_a_ceiling_below_the_floor_is_the_floor(self, ceiling: int) -> None:
        assert Limiter(ceiling).limit == FLOOR


class AnyLoad(RuleBasedStateMachine):
    """Whoever comes, goes and is late, the limit stays between its walls and nobody enters above it."""

    @initialize(ceiling=st.integers(FLOOR, 200))
    def begin(self, ceiling: int) -> None:
        self.ceiling = ceiling
        self.limiter = Limiter(ceiling)

    @rule(shed_first=st.booleans(), times=st.integers(1, 50))
    def enter(self, *, shed_first: bool, times: int) -> None:
        for _ in range(times):
            before, limit = self.limiter.running, self.limiter.limit
            try:
                self.limiter.enter(shed_first=shed_first)
            except Unavailable:
                assert self.limiter.running == before
                assert before + 1 > (0.8 * limit if shed_first else limit)
            else:
                assert self.limiter.running == before + 1 <= limit

    @rule(times=st.integers(1, 50))
    def leave(self, times: int) -> None:
        for _ in range(min(times, self.limiter.running)):
            self.limiter.leave()

    @rule(lag_s=st.floats(-0.1, 60), times=st.integers(1, 50))
    def observe(self, lag_s: float, times: int) -> None:
        for _ in range(times):
            self.limiter.observe(lag_s)

    @invariant()
    def the_limit_is_between_its_walls(self) -> None:
        if hasattr(self, "limiter"):
            assert FLOOR <= self.limiter.limit <= self.ceiling
            assert self.limiter.running >= 0


TestAnyLoad = AnyLoad.TestCase


@pytest.mark.anyio
async def test_a_loop_that_is_held_up_is_noticed() -> None:
    limiter = filled(1000, 500)
    watching = asyncio.ensure_future(watch_lag(limiter))
    await asyncio.sleep(0.01)
    time.sleep(0.2)  # noqa: ASYNC251 - it is what holds the loop up
    await asyncio.sleep(0.005)
    watching.cancel()

    assert limiter.limit == 900
