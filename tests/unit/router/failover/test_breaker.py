"""A breaker against a page of plain Python, and the promises its callers rely on."""

import math
import random
from dataclasses import dataclass, field

import pytest
from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, precondition, rule

from aibridge_router.failover.breaker import (
    CALM_S,
    FAILED_SHARE_OF,
    FAILURES_IN_A_ROW,
    OPEN_S,
    OPEN_S_MAX,
    SUCCESSES_TO_CLOSE,
    WINDOW_S,
    Breaker,
    State,
)


def breaker() -> Breaker:
    return Breaker(random.Random(1))


def opened(now_s: float = 0.0) -> Breaker:
    one = breaker()
    one.open(now_s)
    return one


def closes_by_probes(one: Breaker, now_s: float) -> None:
    for _ in range(SUCCESSES_TO_CLOSE):
        one.succeeded(now_s, probe=one.begin(now_s))


class TestOpening:
    def test_a_fresh_one_lets_everything_pass(self) -> None:
        one = breaker()

        assert one.allows(0.0)
        assert one.begin(0.0) is False
        assert one.state is State.CLOSED

    def test_failures_in_a_row_open_it(self) -> None:
        one = breaker()
        told = [one.failed(float(n), probe=False) for n in range(FAILURES_IN_A_ROW)]

        assert told == [False] * (FAILURES_IN_A_ROW - 1) + [True]
        assert not one.allows(float(FAILURES_IN_A_ROW - 1))

    def test_a_success_between_begins_the_row_anew(self) -> None:
        one = breaker()
        for _ in range(3):
            for _ in range(FAILURES_IN_A_ROW - 1):
                one.failed(0.0, probe=False)
            one.succeeded(0.0, probe=False)

        assert one.state is State.CLOSED

    def test_half_of_twenty_open_it(self) -> None:
        one = breaker()
        for _ in range(FAILED_SHARE_OF // 2 - 1):
            one.succeeded(1.0, probe=False)
            one.failed(1.0, probe=False)
        one.succeeded(1.0, probe=False)
        before = one.state

        assert one.failed(1.0, probe=False)
        assert before is State.CLOSED

    def test_less_than_half_does_not(self) -> None:
        one = breaker()
        for _ in range(FAILED_SHARE_OF):
            one.succeeded(1.0, probe=False)
            one.succeeded(1.0, probe=False)
            one.failed(1.0, probe=False)

        assert one.state is State.CLOSED

    def test_what_failed_before_the_window_is_forgotten(self) -> None:
        one = breaker()
        for n in range(FAILED_SHARE_OF - 1):
            one.failed(1.0, probe=False) if n % 2 else one.succeeded(1.0, probe=False)
        one.failed(1.0 + WINDOW_S, probe=False)

        assert one.state is State.CLOSED

    def test_one_that_counts_at_once_opens_it(self) -> None:
        one = breaker()

        assert one.failed(0.0, probe=False, at_once=True)
        assert one.state is State.OPEN

    def test_a_failure_while_it_is_open_does_not_keep_it_open_longer(self) -> None:
        one = opened()
        until_s = one.retry_at_s

        assert one.failed(0.5, probe=False, at_once=True) is False
        assert one.retry_at_s == until_s


class TestWaiting:
    def test_waits_double_up_to_the_longest(self) -> None:
        one = breaker()
        waits = [one.open(0.0) for _ in range(6)]

        for wait_s, whole_s in zip(waits, [1.0, 2.0, 4.0, 4.0, 4.0, 4.0], strict=True):
            assert 0.8 * whole_s <= wait_s <= whole_s

    def test_a_vendor_that_is_down_for_days_is_still_probed(self) -> None:
        one = breaker()
        now_s = 0.0
        for _ in range(5000):
            now_s += one.open(now_s)

        assert one.open(now_s) <= OPEN_S_MAX

    def test_after_a_calm_it_begins_with_the_shortest(self) -> None:
        one = breaker()
        for _ in range(4):
            one.open(0.0)

        assert one.open(CALM_S + 1) <= OPEN_S

    def test_routers_do_not_probe_together(self) -> None:
        waits = {Breaker(random.Random(seed)).open(0.0) for seed in range(20)}

        assert len(waits) == 20

    @pytest.mark.parametrize("down_s", [0.5, 3.0, 60.0, 3600.0])
    @pytest.mark.parametrize("seed", range(5))
    def test_a_return_is_noticed_within_ten_seconds(self, down_s: float, seed: int) -> None:
        """A request every tenth of a second, as long as the vendor is down and until it serves again."""
        one = Breaker(random.Random(seed))
        probes = 0
        for tick in range(int((down_s + 10) * 10) + 1):
            now_s = tick / 10
            if not one.allows(now_s):
                continue
            probe = one.begin(now_s)
            probes += probe
            if now_s < down_s:
                one.failed(now_s, probe=probe)
            elif one.succeeded(now_s, probe=probe):
                break

        assert one.state is State.CLOSED
        assert probes <= 6 + down_s / 3


class TestProbing:
    def test_only_one_probe_at_a_time(self) -> None:
        one = opened()
        now_s = one.retry_at_s

        assert one.allows(now_s)
        assert one.begin(now_s) is True
        assert not one.allows(now_s)
        assert one.begin(now_s) is False

    def test_before_its_time_nothing_is_a_probe(self) -> None:
        one = opened()

        assert not one.allows(0.1)
        assert one.begin(0.1) is False
        assert one.state is State.OPEN

    def test_three_successes_close_it(self) -> None:
        one = opened()
        now_s = one.retry_at_s
        told = [one.succeeded(now_s, probe=one.begin(now_s)) for _ in range(SUCCESSES_TO_CLOSE)]

        assert told == [False, False, True]
        assert one.state is State.CLOSED
        assert one.allows(now_s)

    def test_a_failed_probe_opens_it_again(self) -> None:
        one = opened()
        now_s = one.retry_at_s
        one.succeeded(now_s, probe=one.begin(now_s))

        assert one.failed(now_s, probe=one.begin(now_s))
        assert one.retry_at_s > now_s

        closes_by_probes(one, one.retry_at_s)

        assert one.state is State.CLOSED

    def test_an_abandoned_probe_frees_its_place(self) -> None:
        one = opened()
        now_s = one.retry_at_s
        one.abandoned(probe=one.begin(now_s))

        assert one.state is State.HALF_OPEN
        assert one.begin(now_s) is True

    def test_a_request_that_is_no_probe_frees_none(self) -> None:
        one = opened()
        now_s = one.retry_at_s
        one.begin(now_s)
        one.abandoned(probe=False)

        assert not one.allows(now_s)

    def test_a_late_failure_does_not_make_room_for_a_second_probe(self) -> None:
        """A request from before the opening fails while one probes: it opens again, and the probe still runs."""
        one = opened()
        one.begin(one.retry_at_s)
        one.failed(one.retry_at_s, probe=False)

        assert not one.allows(one.retry_at_s + 1)

        one.abandoned(probe=True)

        assert one.allows(one.retry_at_s + 1)

    def test_life_in_the_last_way_out_begins_the_probing(self) -> None:
        one = opened()

        assert one.succeeded(0.1, probe=False) is False
        assert one.state is State.HALF_OPEN
        assert one.allows(0.1)

    def test_hearsay_lets_the_next_request_try(self) -> None:
        one = opened()
        one.probe_soon(0.1)

        assert one.begin(0.1) is True

    def test_hearsay_puts_no_probe_off(self) -> None:
        one = opened()
        until_s = one.retry_at_s
        one.probe_soon(100.0)
        well = breaker()
        well.probe_soon(1.0)

        assert one.retry_at_s == until_s
        assert well.state is State.CLOSED


class TestFine:
    def test_something_must_have_succeeded_lately(self) -> None:
        one = breaker()
        never = one.is_fine(0.0)
        one.succeeded(0.0, probe=False)

        assert (never, one.is_fine(1.0), one.is_fine(WINDOW_S)) == (False, True, False)

    def test_a_request_and_its_retry_may_have_failed_since(self) -> None:
        one = breaker()
        one.succeeded(0.0, probe=False)
        fine: list[bool] = []
        for _ in range(3):
            one.failed(0.0, probe=False)
            fine.append(one.is_fine(0.0))

        assert fine == [True, True, False]

    def test_an_open_one_is_not(self) -> None:
        one = breaker()
        one.succeeded(0.0, probe=False)
        one.open(0.0)

        assert not one.is_fine(0.0)


class TestTrickle:
    def test_the_first_passes_and_of_many_a_few(self) -> None:
        counts: list[int] = []
        for seed in range(50):
            one = Breaker(random.Random(seed))
            one.open(0.0)
            passed = [one.trickle() for _ in range(1000)]
            counts.append(sum(passed))

            assert passed[0]
        mean = sum(counts) / len(counts)

        assert 0.7 * math.log(1000) < mean < 1.5 * math.log(1000)

    def test_each_opening_begins_anew(self) -> None:
        one = opened()
        for _ in range(1000):
            one.trickle()
        one.open(1.0)

        assert one.trickle()


@dataclass
class Reference:
    """What the design says, without a thought for speed: everything that happened, and the state it makes."""

    state: State = State.CLOSED
    successes: int = 0
    in_a_row: int = 0
    happened: list[tuple[int, bool]] = field(default_factory=list)
    """Which ten seconds, and whether it was good; since the last closing."""

    def succeeded(self, now_s: float) -> None:
        self.in_a_row = 0
        self.happened.append((int(now_s // 10), True))
        if self.state is State.OPEN:
            self.state, self.successes = State.HALF_OPEN, 0
        if self.state is State.HALF_OPEN:
            self.successes += 1
            if self.successes == SUCCESSES_TO_CLOSE:
                self.state = State.CLOSED
                self.happened = []

    def failed(self, now_s: float, *, at_once: bool) -> None:
        self.in_a_row += 1
        self.happened.append((int(now_s // 10), False))
        if self.state is State.HALF_OPEN or (
            self.state is State.CLOSED and (at_once or self._too_many(now_s))
        ):
            self.state = State.OPEN

    def _too_many(self, now_s: float) -> bool:
        lately = [good for at, good in self.happened if at > int(now_s // 10) - 3]
        half = lately.count(False) * 2 >= len(lately) >= FAILED_SHARE_OF
        return self.in_a_row >= FAILURES_IN_A_ROW or half


class BreakerAgainstReference(RuleBasedStateMachine):
    """Requests begin, end in any order, or are abandoned, while time passes and others gossip."""

    def __init__(self) -> None:
        super().__init__()
        self.one = Breaker(random.Random(3))
        self.reference = Reference()
        self.now_s = 1000.0
        self.running: list[bool] = []

    @rule(passed_s=st.sampled_from([0.0, 0.1, 0.9, 4.0, 11.0, 70.0]))
    def time_passes(self, passed_s: float) -> None:
        self.now_s += passed_s

    @rule(forced=st.booleans())
    def a_request_begins(self, forced: bool) -> None:
        """A forced one is the last way out."""
        if self.one.allows(self.now_s) or forced:
            allowed = self.one.allows(self.now_s)
            probe = self.one.begin(self.now_s)
            if probe:
                self.reference.successes *= self.reference.state is State.HALF_OPEN
                self.reference.state = State.HALF_OPEN

            assert probe == (allowed and self.one.state is not State.CLOSED)
            self.running.append(probe)

    @precondition(lambda self: self.running)
    @rule(which=st.integers(0, 50))
    def a_request_succeeds(self, which: int) -> None:
        probe = self.running.pop(which % len(self.running))
        self.reference.succeeded(self.now_s)
        closed = self.one.succeeded(self.now_s, probe=probe)

        assert not closed or self.one.state is State.CLOSED

    @precondition(lambda self: self.running)
    @rule(which=st.integers(0, 50), at_once=st.booleans())
    def a_request_fails(self, which: int, at_once: bool) -> None:
        probe = self.running.pop(which % len(self.running))
        before = self.one.state
        self.reference.failed(self.now_s, at_once=at_once)
        told = self.one.failed(self.now_s, probe=probe, at_once=at_once)

        assert told == (before is not State.OPEN and self.one.state is State.OPEN)

    @precondition(lambda self: self.running)
    @rule(which=st.integers(0, 50))
    def a_request_is_abandoned(self, which: int) -> None:
        self.one.abandoned(probe=self.running.pop(which % len(self.running)))

    @rule()
    def another_router_saw_it_well(self) -> None:
        self.one.probe_soon(self.now_s)

    @invariant()
    def states_agree(self) -> None:
        assert self.one.state is self.reference.state

    @invariant()
    def one_probe_at_most(self) -> None:
        assert self.running.count(True) <= 1

    @invariant()
    def never_open_longer_than_the_longest(self) -> None:
        if self.one.state is State.OPEN:
            assert self.one.retry_at_s - self.one.opened_at_s <= OPEN_S_MAX
            assert self.one.allows(self.one.opened_at_s + OPEN_S_MAX) or True in self.running

    @invariant()
    def a_place_is_free_when_nobody_probes(self) -> None:
        if self.one.state is State.HALF_OPEN:
            assert self.one.allows(self.now_s) == (True not in self.running)


TestBreakerAgainstReference = BreakerAgainstReference.TestCase
TestBreakerAgainstReference.settings = settings(
    max_examples=150, stateful_step_count=60, deadline=None
)
