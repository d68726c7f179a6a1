"""Which router serves an account: rendezvous hashing, and who is left alone for a while. Pure.

One router serves an account as long as it is up, so that the account's balance is leased in one place.
"""

from collections.abc import Sequence
from hashlib import blake2b
from uuid import UUID

AVOIDED_S = 5.0
"""How long a router that took nothing is passed over. Then one request, not all of them, tries it again."""


class Routers:
    """The routers by their places in the setting. It is told the time and what happened."""

    def __init__(self, urls: Sequence[str]) -> None:
        self._seeds = [blake2b(url.encode(), digest_size=32).digest() for url in urls]
        self._only = (0,) if len(urls) == 1 else None
        self._avoided_until_s: dict[int, float] = {}

    def order(self, now_s: float, account_id: UUID) -> Sequence[int]:
        """Whom to ask, the account's own router first; those that are avoided come last, for they may be all there is.

        A router whose time has passed stands at its place for this request and is avoided by those that follow
        until `answered()`.
        """
        if self._only is not None:
            return self._only
        account, seeds = account_id.bytes, self._seeds
        places = sorted(
            range(len(seeds)),
            key=lambda place: blake2b(account, key=seeds[place], digest_size=8).digest(),
            reverse=True,
        )
        if not self._avoided_until_s:
            return places
        avoided = {place for place, until_s in self._avoided_until_s.items() if until_s > now_s}
        places.sort(key=avoided.__contains__)
        if places[0] in self._avoided_until_s:
            self.avoid(now_s, places[0])
        return places

    def avoid(self, now_s: float, place: int) -> None:
        """It could not be reached, or is leaving."""
        self._avoided_until_s[place] = now_s + AVOIDED_S

    def answered(self, place: int) -> None:
        """It serves."""
        if self._avoided_until_s:
            self._avoided_until_s.pop(place, None)
