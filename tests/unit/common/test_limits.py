"""Limits of a key are checked where they are set."""

from datetime import UTC, datetime, timedelta, timezone

import pytest

from aibridge_common.errors import InvalidRequest
from aibridge_common.limits import NO_LIMITS, KeyLimits, checked

NOW = datetime(2026, 5, 17, 12, tzinfo=UTC)


def test_nothing_said_is_no_limit() -> None:
    assert checked(NO_LIMITS, NOW) == NO_LIMITS


def test_networks_are_written_out() -> None:
    limits = KeyLimits(ip_ranges=("203.0.113.7/24", " 198.51.100.1 ", "2001:DB8::1/32"))

    expected = ("203.0.113.0/24", "198.51.100.1/32", "2001:db8::/32")
    assert checked(limits, NOW).ip_ranges == expected


@pytest.mark.parametrize("bad", ["", "here", "203.0.113.0/33", "203.0.113", "::1::"])
def test_what_is_no_network_is_refused(bad: str) -> None:
    with pytest.raises(InvalidRequest) as refused:
        checked(KeyLimits(ip_ranges=("203.0.113.1", bad)), NOW)

    assert refused.value.param == "limits.ip_ranges"


def test_an_expiry_is_to_come() -> None:
    later = KeyLimits(expires_at=NOW + timedelta(seconds=1))
    assert checked(later, NOW) == later
    elsewhere = NOW.astimezone(timezone(timedelta(hours=8)))
    for bad in (NOW, elsewhere, NOW.replace(tzinfo=None) + timedelta(days=1)):
        with pytest.raises(InvalidRequest) as refused:
            checked(KeyLimits(expires_at=bad), NOW)
        assert refused.value.param == "limits.expires_at"
