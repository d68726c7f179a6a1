"""Responses kept for `previous_response_id`."""

from collections import OrderedDict
from typing import Any


class Turns:
    """Bounded; the oldest response is forgotten first."""

    def __init__(self, turns_max: int = 500) -> None:
        self._items: OrderedDict[str, list[Any]] = OrderedDict()
        self._turns_max = turns_max

    def keep(self, response_id: str, items: list[Any]) -> None:
        """`items` is the whole conversation up to and with this response's output."""
        self._items[response_id] = items
        if len(self._items) > self._turns_max:
            self._items.popitem(last=False)

    def find(self, response_id: str) -> list[Any] | None:
        """None if it was never kept or is forgotten."""
        return self._items.get(response_id)
