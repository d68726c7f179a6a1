"""The memory of one way's health (a key at a provider for a model). Pure: it takes the time and what happened.

closed ── 5 failures in a row, or half of at least 20 in 30 s, or one that counts at once ──▶ open
open ── after 1 s, doubling to 4 s ──▶ half-open: one real request at a time
half-open ── 3 successes ──▶ closed;  a failure ──▶ open

The longest wait is short so that a vendor's return is noticed within 10 s; a probe is a real request, and only one at
a time pays for a vendor that is still down (ADR 0020).
"""

import random
from enum import Enum

FAILURES_IN_A_ROW = 5
FAILED_SHARE_OF = 20
WINDOW_S = 30.0
OPEN_S = 1.0
OPEN_S_MAX = 4.0
SUCCESSES_TO_CLOSE = 3
CALM_S = 60.0
"""After so long without opening, the next time begins with the shortest wait again."""

_BUCKETS = 3
_BUCKET_S = WINDOW_S / _BUCKETS


class State(Enum):
    """Whether requests pass."""

    CLOSED = "closed"
    OPEN = "open"
    HALF_OPEN = "half-open"


class Breaker:
    """See the module."""

    __slots__ = (
        "_asked_since_open",
        "_buckets",
        "_in_a_row",
        "_probing",
        "_rng",
        "_successes",
        "_wait_s",
        "opened_at_s",
        "retry_at_s",
        "state",
    )

    def __init__(self, rng: random.Random) -> None:
        self._rng = rng
        self.state = State.CLOSED
        self.opened_at_s = float("-inf")
        self.retry_at_s = 0.0
        self._buckets: list[list[int]] = []  # number, good, failed; newest last
        self._in_a_row = 0
        self._wait_s = OPEN_S
        self._successes = 0
        self._probing = False
        self._asked_since_open = 0

    def allows(self, now_s: float) -> bool:
        """Whether a request may go this way now; changes nothing."""
        if self.state is State.CLOSED:
            return True
        if self.state is State.OPEN and now_s < self.retry_at_s:
            return False
        return not self._probing

    def begin(self, now_s: float) -> bool:
        """A request goes this way; whether it is the probe. Ends with `succeeded`, `failed` or `abandoned`."""
        if self.state is State.CLOSED or not self.allows(now_s):
            return False
        if self.state is State.OPEN:
            self.state = State.HALF_OPEN
            self._successes = 0
        self._probing = True
        return True

    def succeeded(self, now_s: float, *, probe: bool) -> bool:
        """The request was answered; whether this closed the breaker."""
        self._in_a_row = 0
        self._bucket(now_s)[1] += 1
        if probe:
            self._probing = False
        if self.state is State.CLOSED:
            return False
        if self.state is State.OPEN:  # it was let through as the last way out, and there is life
            self.state = State.HALF_OPEN
            self._successes = 0
        self._successes += 1
        if self._successes < SUCCESSES_TO_CLOSE:
            return False
        self.state = State.CLOSED
        self._buckets.clear()
        return True

    def failed(self, now_s: float, *, probe: bool, at_once: bool = False) -> bool:
        """The request failed by the way's fault; whether this opened the breaker."""
        self._in_a_row += 1
        self._bucket(now_s)[2] += 1
        if probe:
            self._probing = False
        if self.state is State.HALF_OPEN:
            self.open(now_s)
            return True
        if self.state is State.CLOSED and (at_once or self._is_enough(now_s)):
            self.open(now_s)
            return True
        return False

    def abandoned(self, *, probe: bool) -> None:
        """The request ended without a word about the way: its client left, or it was refused for its content."""
        if probe:
            self._probing = False

    def open(self, now_s: float) -> float:
        """Let nothing pass for a while; returns for how long."""
        if now_s - self.opened_at_s > CALM_S:
            self._wait_s = OPEN_S
        # Less than the whole, at random, so that the routers of an installation do not probe together.
        wait_s = self._wait_s * self._rng.uniform(0.8, 1.0)
        self._wait_s = min(2 * self._wait_s, OPEN_S_MAX)
        self.state = State.OPEN
        self.opened_at_s = now_s
        self.retry_at_s = now_s + wait_s
        self._asked_since_open = 0
        self._successes = 0
        return wait_s

    def reset(self) -> None:
        """Begin as if nothing had ever failed; a probe that runs counts as an ordinary request."""
        self.state = State.CLOSED
        self._buckets.clear()
        self._in_a_row = self._successes = 0
        self.opened_at_s = float("-inf")
        self._probing = False

    def probe_soon(self, now_s: float) -> None:
        """Another router saw it well: let the next request try."""
        if self.state is State.OPEN:
            self.retry_at_s = min(self.retry_at_s, now_s)

    def is_fine(self, now_s: float) -> bool:
        """Whether it is closed, something succeeded lately and not more than a request and its retry failed since."""
        return (
            self.state is State.CLOSED
            and self._in_a_row <= 2
            and any(good for at, good, _ in self._buckets if at >= int(now_s // _BUCKET_S) - 1)
        )

    def trickle(self) -> bool:
        """For the last way out: whether this request may pass although the breaker is open.

        Client-side throttling as in Google's SRE book with K = 2, counted since it opened: none has succeeded since,
        so the chance is 1 / (asked + 1), and of n requests about ln n pass.
        """
        chance = 1 / (self._asked_since_open + 1)
        self._asked_since_open += 1
        return self._rng.random() < chance

    def _is_enough(self, now_s: float) -> bool:
        if self._in_a_row >= FAILURES_IN_A_ROW:
            return True
        oldest = int(now_s // _BUCKET_S) - _BUCKETS
        good = sum(bucket[1] for bucket in self._buckets if bucket[0] > oldest)
        failed = sum(bucket[2] for bucket in self._buckets if bucket[0] > oldest)
        return good + failed >= FAILED_SHARE_OF and failed >= good

    def _bucket(self, now_s: float) -> list[int]:
        number = int(now_s // _BUCKET_S)
        buckets = self._buckets
        if buckets and buckets[-1][0] == number:
            return buckets[-1]
        buckets.append([number, 0, 0])
        if len(buckets) > _BUCKETS:
            del buckets[0]
        return buckets[-1]
