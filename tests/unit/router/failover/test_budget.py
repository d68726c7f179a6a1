"""Extra calls are a share of the requests, and a few a second."""

from hypothesis import given
from hypothesis import strategies as st

from aibridge_router.failover.budget import Budget


def taken(budget: Budget, now_s: float, wanted: int = 1000) -> int:
    return sum(budget.take(now_s) for _ in range(wanted))


def test_a_fresh_one_is_full() -> None:
    assert taken(Budget(0.1, 1.0, 10.0), 0.0) == 10


def test_requests_fill_it_by_their_share() -> None:
    budget = Budget(0.25, 0.0, 10.0)
    taken(budget, 0.0)
    for _ in range(8):
        budget.request()

    assert taken(budget, 0.0) == 2


def test_time_fills_it_by_its_rate() -> None:
    budget = Budget(0.0, 2.0, 10.0)
    taken(budget, 100.0)

    assert (taken(budget, 100.4), taken(budget, 101.5)) == (0, 3)


def test_it_never_holds_more_than_its_most() -> None:
    budget = Budget(0.5, 5.0, 3.0)
    for _ in range(100):
        budget.request()

    assert taken(budget, 1e6) == 3


def test_a_clock_that_goes_back_gives_nothing() -> None:
    budget = Budget(0.0, 1.0, 1.0)
    taken(budget, 100.0)

    assert taken(budget, 50.0) == 0


@given(st.lists(st.tuples(st.booleans(), st.floats(0, 3)), max_size=200))
def test_it_never_gives_more_than_what_came_in(steps: list[tuple[bool, float]]) -> None:
    budget, now_s, requests, given_out = Budget(0.2, 0.5, 4.0), 0.0, 0, 0
    for is_request, passed_s in steps:
        now_s += passed_s
        if is_request:
            budget.request()
            requests += 1
        else:
            given_out += budget.take(now_s)

        assert given_out <= 4 + 0.2 * requests + 0.5 * now_s + 1e-6
