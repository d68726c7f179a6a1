"""What a process that died left is charged from its last words, and nothing it did not say."""

from uuid import UUID

import pytest

from aibridge_common.events.usage import Outcome, UsageSource
from aibridge_common.usage import Usage
from aibridge_router.spool.records import Progress, decode, encode, is_final
from aibridge_router.spool.recovery import Left, Torn, Unreadable, read_left
from aibridge_router.spool.segment import SegmentName, frame
from tests.unit.router.spool.made import (
    ACCOUNT,
    KEY,
    LEASE,
    NOON,
    final,
    progress,
    start,
    written,
)

OLD, NEW = SegmentName(1, 0), SegmentName(1, 1)


def left(*segments: bytes) -> Left:
    names = [SegmentName(1, number) for number in range(len(segments))]
    return read_left(zip(names, segments, strict=True))


class TestCharge:
    def test_reported_input_and_counted_output(self) -> None:
        reported = Usage(input=7, cache_read=3, output=1)
        [unended] = left(
            written(start(1), progress(1, 5, reported), progress(1, 30, reported))
        ).unended
        event = unended.event

        assert event is not None
        assert event.usage == Usage(input=7, cache_read=3, output=30)
        assert (event.source, event.outcome) == (UsageSource.ESTIMATED, Outcome.RECOVERED)
        assert (event.event_id, event.account_id) == (UUID(int=1), ACCOUNT)
        assert (event.key_id, event.lease_id) == (KEY, LEASE)
        assert (event.requested_model, event.billed_model) == ("alias", "billed")
        assert (event.provider, event.price_version) == ("anthropic", 2)
        assert (event.endpoint, event.stream, event.occurred_at) == ("openai_chat", True, NOON)

    def test_without_a_report_the_input_is_estimated(self) -> None:
        [unended] = left(written(start(1), progress(1, 30))).unended

        assert unended.event is not None
        assert unended.event.usage == Usage(input=40, output=30)

    @pytest.mark.parametrize(
        ("reported", "counted", "output"),
        [
            (Usage(input=1, output=50), 30, 50),
            (Usage(input=1, output=1, reasoning=25), 30, 5),
            (Usage(input=1, output=2, reasoning=90), 30, 2),
        ],
    )
    def test_the_larger_output_counts(self, reported: Usage, counted: int, output: int) -> None:
        [unended] = left(written(start(1), progress(1, counted, reported))).unended

        assert unended.event is not None
        assert unended.event.usage.output == output

    @pytest.mark.parametrize("last", [[], [progress(1, 0, Usage(input=9, output=1))]])
    def test_nothing_when_no_content_was_passed_on(self, last: list[Progress]) -> None:
        [unended] = left(written(start(1), *last)).unended

        assert unended.event is None


class TestReading:
    def test_what_ended_is_not_ended_again(self) -> None:
        found = left(
            written(start(1), start(2), progress(1, 5)),
            written(final(1, 1), start(3), final(3, 2)),
        )

        assert [unended.start.request_id.int for unended in found.unended] == [2]
        assert [(one.first, one.last, one.open) for one in found.segments] == [(0, 0, 1), (1, 2, 0)]

    def test_a_torn_end_is_told_and_what_is_before_it_counts(self) -> None:
        whole = written(start(1), progress(1, 5), final(1, 1))
        found = left(whole[:-1], written(start(2)))

        assert found.torn == [
            Torn(
                name=OLD,
                kept_bytes=len(written(start(1), progress(1, 5))),
                lost_bytes=len(written(final(1, 1))) - 1,
            )
        ]
        assert [unended.start.request_id.int for unended in found.unended] == [1, 2]

    def test_words_about_an_exchange_that_never_began_are_ignored(self) -> None:
        assert left(written(progress(1, 5), final(2, 1))).unended == []

    def test_a_whole_record_of_another_version_stops_the_start(self) -> None:
        """To skip it would be to lose what it says."""
        with pytest.raises(Unreadable, match=r"\.spool, before byte"):
            left(written(start(1)) + frame(b"\x81\xa4type\xa6future"))

    def test_a_final_is_known_by_its_first_bytes(self) -> None:
        records = [start(1), progress(1, 1), final(1, 1)]

        assert [is_final(encode(record)) for record in records] == [False, False, True]
        assert [decode(encode(record)) for record in records] == records
