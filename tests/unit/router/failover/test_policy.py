"""The table of reactions is complete and says what the design says."""

import pytest

from aibridge_router.failover.failure import Failure
from aibridge_router.failover.policy import REACTIONS, Blame, Then


@pytest.mark.parametrize("failure", Failure)
def test_every_failure_has_a_reaction(failure: Failure) -> None:
    assert failure in REACTIONS


@pytest.mark.parametrize("failure", [Failure.CALLER, Failure.REFUSED, Failure.OVERFLOW])
def test_what_is_about_the_request_counts_against_nobody(failure: Failure) -> None:
    assert REACTIONS[failure].blame is Blame.NOBODY


def test_only_what_is_about_the_request_stops_a_walk() -> None:
    stops = {failure for failure, reaction in REACTIONS.items() if reaction.then is Then.STOP}

    assert stops == {Failure.CALLER, Failure.REFUSED}


def test_only_what_surely_may_be_repeated_is_retried() -> None:
    """After a silence or a drop the request may still be worked on, at our cost."""
    retried = {failure for failure, reaction in REACTIONS.items() if reaction.then is Then.RETRY}

    assert retried == {Failure.TRANSIENT}


@pytest.mark.parametrize("failure", [Failure.SILENT, Failure.UNREACHABLE])
def test_what_costs_a_wait_is_not_waited_for_twice(failure: Failure) -> None:
    reaction = REACTIONS[failure]

    assert (reaction.then, reaction.blame) == (Then.NEXT_PROVIDER, Blame.WAY_AT_ONCE)
