"""One test for each row of the table in `settlement`."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from aibridge_common.events.usage import Outcome, UsageSource
from aibridge_common.usage import Usage
from aibridge_router.exchange.settlement import Ending, Settlement, settle

REPORTED = Usage(input=100, cache_read=40, output=30, reasoning=10)
NOTHING = Settlement(usage=None, source=UsageSource.NONE)
CUT = [Outcome.UPSTREAM_CUT, Outcome.CLIENT_GONE]

usages = st.none() | st.builds(
    Usage,
    input=st.integers(0, 1000),
    cache_read=st.integers(0, 1000),
    output=st.integers(0, 1000),
    reasoning=st.integers(0, 1000),
)
endings = st.builds(
    Ending,
    outcome=st.sampled_from(Outcome),
    reported=usages,
    reported_is_final=st.booleans(),
    delivered_tokens=st.integers(0, 1000),
    input_estimate=st.integers(0, 1000),
)


class TestComplete:
    def test_what_was_reported_is_charged(self) -> None:
        ending = Ending(
            outcome=Outcome.COMPLETED,
            reported=REPORTED,
            reported_is_final=True,
            delivered_tokens=9999,
            input_estimate=9999,
        )

        assert settle(ending) == Settlement(usage=REPORTED, source=UsageSource.FINAL)

    def test_nothing_reported_is_estimated_from_both_sides(self) -> None:
        ending = Ending(outcome=Outcome.COMPLETED, delivered_tokens=7, input_estimate=50)

        assert settle(ending) == Settlement(
            usage=Usage(input=50, output=7), source=UsageSource.ESTIMATED
        )

    def test_an_explicit_zero_is_a_report(self) -> None:
        ending = Ending(
            outcome=Outcome.COMPLETED,
            reported=Usage(),
            reported_is_final=True,
            delivered_tokens=7,
            input_estimate=50,
        )

        assert settle(ending) == Settlement(usage=Usage(), source=UsageSource.FINAL)


class TestCutOrClientGone:
    @pytest.mark.parametrize("outcome", CUT)
    def test_a_final_report_is_charged(self, outcome: Outcome) -> None:
        ending = Ending(
            outcome=outcome, reported=REPORTED, reported_is_final=True, delivered_tokens=5
        )

        assert settle(ending) == Settlement(usage=REPORTED, source=UsageSource.FINAL)

    @pytest.mark.parametrize("outcome", CUT)
    def test_after_content_the_reported_output_is_charged_where_it_is_larger(
        self, outcome: Outcome
    ) -> None:
        ending = Ending(outcome=outcome, reported=REPORTED, delivered_tokens=20)

        assert settle(ending) == Settlement(usage=REPORTED, source=UsageSource.PARTIAL)

    @pytest.mark.parametrize("outcome", CUT)
    def test_after_content_what_passed_is_charged_where_it_is_larger(
        self, outcome: Outcome
    ) -> None:
        """Reasoning that was reported passed too, and is not counted twice."""
        ending = Ending(outcome=outcome, reported=REPORTED, delivered_tokens=60)

        assert settle(ending) == Settlement(
            usage=Usage(input=100, cache_read=40, output=50, reasoning=10),
            source=UsageSource.ESTIMATED,
        )

    @pytest.mark.parametrize("outcome", CUT)
    def test_after_content_without_any_report_both_sides_are_estimated(
        self, outcome: Outcome
    ) -> None:
        ending = Ending(outcome=outcome, delivered_tokens=3, input_estimate=50)

        assert settle(ending) == Settlement(
            usage=Usage(input=50, output=3), source=UsageSource.ESTIMATED
        )

    def test_before_content_a_client_that_left_pays_the_reported_input(self) -> None:
        """A vendor's first event says one token of output where nothing was answered."""
        ending = Ending(
            outcome=Outcome.CLIENT_GONE, reported=Usage(input=100, output=1), input_estimate=50
        )

        assert settle(ending) == Settlement(usage=Usage(input=100), source=UsageSource.PARTIAL)

    def test_before_content_a_vendor_that_cut_gets_nothing(self) -> None:
        ending = Ending(outcome=Outcome.UPSTREAM_CUT, reported=Usage(input=100, output=1))

        assert settle(ending) == NOTHING

    @pytest.mark.parametrize("outcome", CUT)
    def test_before_content_without_a_report_nothing_is_charged(self, outcome: Outcome) -> None:
        assert settle(Ending(outcome=outcome, input_estimate=50)) == NOTHING


class TestVendorsError:
    def test_before_content_nothing_is_charged(self) -> None:
        ending = Ending(
            outcome=Outcome.UPSTREAM_ERROR,
            reported=Usage(input=100, output=1),
            input_estimate=50,
        )

        assert settle(ending) == NOTHING

    def test_after_content_what_passed_is_charged(self) -> None:
        ending = Ending(
            outcome=Outcome.UPSTREAM_ERROR,
            reported=Usage(input=100, output=1),
            delivered_tokens=8,
        )

        assert settle(ending) == Settlement(
            usage=Usage(input=100, output=8), source=UsageSource.ESTIMATED
        )

    def test_no_answer_is_nothing(self) -> None:
        assert settle(Ending(outcome=Outcome.UPSTREAM_ERROR)) == NOTHING


class TestEveryEnding:
    @given(ending=endings)
    def test_nothing_is_charged_exactly_where_there_is_no_source(self, ending: Ending) -> None:
        settlement = settle(ending)

        assert (settlement.usage is None) == (settlement.source is UsageSource.NONE)

    @given(ending=endings)
    def test_input_is_what_was_reported_wherever_it_was(self, ending: Ending) -> None:
        settlement = settle(ending)
        if settlement.usage is not None and ending.reported is not None:
            assert settlement.usage.input == ending.reported.input
            assert settlement.usage.cache_read == ending.reported.cache_read

    @given(ending=endings)
    def test_output_is_never_more_than_reported_or_passed_on(self, ending: Ending) -> None:
        settlement = settle(ending)
        reported = ending.reported or Usage()
        if settlement.usage is not None:
            assert settlement.usage.output <= max(reported.output, ending.delivered_tokens)
            assert settlement.usage.plausible
