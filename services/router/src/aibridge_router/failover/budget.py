"""How many calls may be made beside the first of each request: a share of the requests, and a few a second. Pure.

Without it a vendor in trouble gets the load several times over, just when it can bear least.
"""


class Budget:
    """A token bucket that requests fill and extra calls empty."""

    __slots__ = ("_at_s", "_most", "_per_s", "_share", "_tokens")

    def __init__(self, share: float, per_s: float, most: float) -> None:
        self._share = share
        self._per_s = per_s
        self._most = most
        self._tokens = most
        self._at_s = 0.0

    def request(self) -> None:
        """A request began."""
        self._tokens = min(self._most, self._tokens + self._share)

    def take(self, now_s: float) -> bool:
        """Whether one more call may be made."""
        self._tokens = min(self._most, self._tokens + max(0.0, now_s - self._at_s) * self._per_s)
        self._at_s = now_s
        if self._tokens < 1:
            return False
        self._tokens -= 1
        return True
