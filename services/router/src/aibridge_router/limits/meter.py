"""What one key has used of what it may. Pure: it is given the time."""

from calendar import monthrange
from datetime import date, datetime, timedelta

from msgspec import Struct

from aibridge_common.errors import RateLimited
from aibridge_common.limits import KeyLimits
from aibridge_common.usage import MICROTOKENS_PER_TOKEN

MINUTE_S = 60.0


class Left(Struct, frozen=True):
    """How much of one limit is left, and when it is whole again."""

    limit: int
    remaining: int
    reset_s: float


class Standing(Struct, frozen=True):
    """What is left of the limits of a minute; None where there is none."""

    requests: Left | None = None
    tokens: Left | None = None


class KeyLimitReached(RateLimited):
    """The key has used what it may, for now."""

    def __init__(self, message: str, left: Standing, retry_after_s: float) -> None:
        super().__init__(message, retry_after_s=max(1, -int(-retry_after_s // 1)))
        self.left = left


class Bucket:
    """Full at first, refilled evenly over a minute. What is taken afterwards may bring it below zero."""

    def __init__(self, per_minute: int, now_s: float) -> None:
        self.per_minute = per_minute
        self._level = float(per_minute)
        self._at_s = now_s

    def resize(self, per_minute: int, now_s: float) -> None:
        """Another limit from now on; what was used stays used."""
        used = self.per_minute - self.level(now_s)
        self.per_minute, self._level = per_minute, per_minute - used

    def level(self, now_s: float) -> float:
        """What is in it now."""
        filled = self._level + (now_s - self._at_s) * self.per_minute / MINUTE_S
        self._level, self._at_s = min(filled, float(self.per_minute)), now_s
        return self._level

    def take(self, now_s: float, amount: int) -> None:
        """Whether or not there is that much."""
        self._level = self.level(now_s) - amount

    def wait_s(self, now_s: float, level: float) -> float:
        """How long until it is as full as this."""
        return max(0.0, level - self.level(now_s)) * MINUTE_S / self.per_minute

    def left(self, now_s: float) -> Left:
        """For the client."""
        remaining = max(0, int(self.level(now_s)))
        return Left(self.per_minute, remaining, self.wait_s(now_s, self.per_minute))


class Spending:
    """Microtokens charged in this UTC day and this UTC month."""

    def __init__(self, today: date) -> None:
        self._today = today
        self.day_microtokens = 0
        self.month_microtokens = 0

    def turn_to(self, today: date) -> None:
        """A new day, and perhaps a new month, begins with nothing."""
        if today <= self._today:
            return
        if (today.year, today.month) != (self._today.year, self._today.month):
            self.month_microtokens = 0
        self._today, self.day_microtokens = today, 0

    def learn(self, asked_on: date, day_microtokens: int, month_microtokens: int) -> None:
        """What billing has in its books; what is on its way to them is only here."""
        if asked_on != self._today:
            return  # midnight came between question and answer
        self.day_microtokens = max(self.day_microtokens, day_microtokens)
        self.month_microtokens = max(self.month_microtokens, month_microtokens)

    def add(self, microtokens: int) -> None:
        """One charge."""
        self.day_microtokens += microtokens
        self.month_microtokens += microtokens


class KeyMeter:
    """See the module."""

    def __init__(self, limits: KeyLimits, now_s: float, now: datetime) -> None:
        self.limits = limits
        self.spending = Spending(now.date())
        self.used_at_s = now_s
        self._requests = _bucket(None, limits.requests_per_minute, now_s)
        self._tokens = _bucket(None, limits.tokens_per_minute, now_s)

    def follow(self, limits: KeyLimits, now_s: float) -> None:
        """The limits as they are now."""
        if limits == self.limits:
            return
        self.limits = limits
        self._requests = _bucket(self._requests, limits.requests_per_minute, now_s)
        self._tokens = _bucket(self._tokens, limits.tokens_per_minute, now_s)

    @property
    def limits_spending(self) -> bool:
        """Whether billing must be asked what was charged before."""
        limits = self.limits
        return limits.spend_per_day_tokens is not None or limits.spend_per_month_tokens is not None

    def enter(self, now_s: float, now: datetime) -> None:
        """Count one request. Raises `KeyLimitReached`, and then nothing was counted."""
        self.used_at_s = now_s
        self._check_spending(now_s, now)
        requests, tokens = self._requests, self._tokens
        if tokens is not None and tokens.level(now_s) < 1:
            raise KeyLimitReached(
                f"this key may use {tokens.per_minute} tokens a minute",
                self.standing(now_s),
                tokens.wait_s(now_s, 1),
            )
        if requests is None:
            return
        if requests.level(now_s) < 1:
            raise KeyLimitReached(
                f"this key may send {requests.per_minute} requests a minute",
                self.standing(now_s),
                requests.wait_s(now_s, 1),
            )
        requests.take(now_s, 1)

    def charged(self, now_s: float, now: datetime, tokens: int, microtokens: int) -> None:
        """One request has settled."""
        self.used_at_s = now_s
        if self._tokens is not None:
            self._tokens.take(now_s, tokens)
        self.spending.turn_to(now.date())
        self.spending.add(microtokens)

    def standing(self, now_s: float) -> Standing:
        """What is left."""
        requests, tokens = self._requests, self._tokens
        return Standing(
            requests.left(now_s) if requests is not None else None,
            tokens.left(now_s) if tokens is not None else None,
        )

    def _check_spending(self, now_s: float, now: datetime) -> None:
        today = now.date()
        self.spending.turn_to(today)
        days_left = monthrange(today.year, today.month)[1] - today.day + 1
        for limit, spent, period, days in (
            (
                self.limits.spend_per_month_tokens,
                self.spending.month_microtokens,
                "month",
                days_left,
            ),
            (self.limits.spend_per_day_tokens, self.spending.day_microtokens, "day", 1),
        ):
            if limit is None or spent < limit * MICROTOKENS_PER_TOKEN:
                continue
            midnight = now.replace(hour=0, minute=0, second=0, microsecond=0)
            until = midnight + timedelta(days=days) - now
            reached = KeyLimitReached(
                f"this key has spent the {limit} tokens that it may in a {period} (UTC)",
                self.standing(now_s),
                until.total_seconds(),
            )
            reached.final = True
            raise reached


def _bucket(bucket: Bucket | None, per_minute: int | None, now_s: float) -> Bucket | None:
    if per_minute is None:
        return None
    if bucket is None:
        return Bucket(per_minute, now_s)
    if bucket.per_minute != per_minute:
        bucket.resize(per_minute, now_s)
    return bucket
