"""A lease is what its holder needs, and leaves as much to every other."""

from hypothesis import given
from hypothesis import strategies as st

from aibridge_billing.leases.sizing import Offer, offer

amounts = st.integers(1, 10_000)


def test_a_small_want_is_granted_whole() -> None:
    assert offer(80, 10, 1000, 1) == Offer(80)


def test_half_of_a_workers_share_is_the_most() -> None:
    assert offer(900, 10, 1000, 1) == Offer(500)
    assert offer(900, 10, 1000, 5) == Offer(100)


def test_it_serves_one_request_at_least() -> None:
    assert offer(900, 300, 1000, 3) == Offer(300)


def test_the_tail_is_given_out_request_by_request() -> None:
    assert offer(80, 10, 39, 4) == Offer(10, one_request=True)


def test_less_than_one_request_is_nothing() -> None:
    assert offer(80, 10, 9, 1) is None


@given(amounts, amounts, st.integers(0, 100_000), st.integers(1, 50))
def test_an_offer_is_free_and_enough(want: int, least: int, free: int, workers: int) -> None:
    want = max(want, least)
    offered = offer(want, least, free, workers)

    assert (offered is None) == (free < least)
    assert offered is None or least <= offered.microtokens <= min(want, free)
