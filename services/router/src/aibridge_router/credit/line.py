"""The requests of one account that wait for tokens: who comes first, and who is told that there are none. Pure."""

from collections.abc import Iterator
from typing import Generic, TypeVar

from msgspec import Struct

RECALL_WITHIN_S = 0.3
"""How long a request waits for what others give back. A recall takes some milliseconds."""
RECALL_PAUSES_S = (0.0, 0.02, 0.06, 0.1, 0.12)
"""When billing is asked again after it recalled; together as long as that."""


class Waiting(Struct, eq=False):
    """A request that waits."""

    amount_microtokens: int


W = TypeVar("W", bound=Waiting)


class Line(Generic[W]):
    """First come, first served; but a request that a lease covers does not wait for one that it does not."""

    def __init__(self) -> None:
        self._waiting: list[W] = []
        self._until_s: float | None = None

    def __bool__(self) -> bool:
        return bool(self._waiting)

    @property
    def first(self) -> W:
        """For whom billing is asked."""
        return self._waiting[0]

    @property
    def total_microtokens(self) -> int:
        """What all of them need together."""
        return sum(each.amount_microtokens for each in self._waiting)

    def granted(self) -> None:
        """Billing gave something: the next refusal is worth waiting again."""
        self._until_s = None

    def recall_until_s(self, now_s: float) -> float:
        """Billing refused: how long to wait for others, counted from the first refusal since it gave something.

        Not from when a request came, since many that are served before it take time; nor anew for each, since many
        that are refused would wait one after another.
        """
        if self._until_s is None:
            self._until_s = now_s + RECALL_WITHIN_S
        return self._until_s

    def join(self, waiting: W) -> None:
        """One more."""
        self._waiting.append(waiting)

    def leave(self, waiting: W) -> None:
        """It was served, or its caller left."""
        if waiting in self._waiting:
            self._waiting.remove(waiting)

    def each(self) -> Iterator[W]:
        """Those who wait, who may leave meanwhile."""
        return iter(list(self._waiting))

    def dismiss(self, least_microtokens: int) -> list[W]:
        """Take out who needs as much as was refused, or more: asking for each in turn would end alike."""
        refused = [each for each in self._waiting if each.amount_microtokens >= least_microtokens]
        self._waiting = [each for each in self._waiting if each not in refused]
        return refused
