"""A report's time is a range of event ids."""

from datetime import UTC, datetime, timedelta

import pytest

from aibridge_billing.usage_reports.period import period
from aibridge_common.errors import InvalidRequest
from aibridge_common.ids import uuid7

NOW = datetime(2026, 7, 1, 12, tzinfo=UTC)


def test_an_id_of_now_is_in_the_last_thirty_days() -> None:
    from_clock = datetime.fromtimestamp((uuid7().int >> 80) / 1000, UTC)
    asked = period(None, None, from_clock)

    assert asked.first < uuid7() < asked.end
    assert asked.first == period(from_clock - timedelta(days=30), from_clock, NOW).first


def test_a_time_without_a_zone_is_utc() -> None:
    naive = datetime(2026, 6, 1)  # noqa: DTZ001 - that is the point
    assert period(naive, NOW, NOW) == period(naive.replace(tzinfo=UTC), NOW, NOW)


@pytest.mark.parametrize(
    ("since", "until", "param"),
    [
        (NOW, NOW, "until"),
        (NOW, NOW - timedelta(1), "until"),
        (NOW - timedelta(367), NOW, "since"),
        (datetime.min.replace(tzinfo=UTC), NOW, "since"),
        (NOW, datetime.max.replace(tzinfo=UTC), "since"),
    ],
)
def test_an_empty_or_endless_one_is_refused(since: datetime, until: datetime, param: str) -> None:
    with pytest.raises(InvalidRequest) as refused:
        period(since, until, NOW)
    assert refused.value.param == param


def test_a_time_before_the_first_id_is_the_first() -> None:
    old = datetime(1960, 1, 1, tzinfo=UTC)
    assert period(old, old + timedelta(1), NOW).first.int == 0
