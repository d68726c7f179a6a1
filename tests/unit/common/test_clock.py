from datetime import UTC, datetime, timedelta

from aibridge_common.clock import FrozenClock, SystemClock

NOON = datetime(2026, 1, 1, 12, tzinfo=UTC)


def test_system_clock_is_utc_and_never_goes_back() -> None:
    clock = SystemClock()
    moments = [clock.monotonic_s() for _ in range(100)]

    assert clock.now().utcoffset() == timedelta(0)
    assert sorted(moments) == moments


def test_frozen_clock_moves_when_told() -> None:
    clock = FrozenClock(NOON)
    stood = (clock.now(), clock.monotonic_s())
    clock.advance(1.5)

    assert stood == (NOON, 0.0)
    assert (clock.now(), clock.monotonic_s()) == (NOON + timedelta(seconds=1.5), 1.5)
