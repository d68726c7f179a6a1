"""What a run left behind: the vendors' log and the customer's charges."""

from typing import Any

import msgspec

from aibridge_common.contracts.billing import UsageRow
from tests.fixtures.outside import Outside

UNBILLED = frozenset({"count_tokens", "models"})


class Evidence:
    """Begins where it is made: what happened earlier is not looked at."""

    def __init__(self, outside: Outside) -> None:
        self._outside = outside
        self._earlier = len(outside.truth())

    def calls(self) -> list[dict[str, Any]]:
        """What the vendors were asked since, oldest first."""
        return self._outside.truth()[self._earlier :]

    def bodies(self) -> list[str]:
        """The same, as the vendors read it."""
        return [call["body"] for call in self.calls()]

    def refusals(self) -> list[tuple[int, str]]:
        """Calls that a vendor did not take: the status and the end of what it read."""
        return [
            (call["status"], call["body"][-400:]) for call in self.calls() if call["status"] != 200
        ]

    def check(self, *models: str, turns: int | None = None) -> list[UsageRow]:
        """No vendor refused anything; every billed call went to one of `models` and was charged in full, once."""
        assert self.refusals() == []
        billed = [call for call in self.calls() if call["endpoint"] not in UNBILLED]
        assert billed, "no vendor was asked"
        assert turns is None or len(billed) == turns
        rows = [self._outside.settled(call["request_id"]) for call in billed]
        for call, row in zip(billed, rows, strict=True):
            assert row.requested_model in models
            assert (row.model, row.usage_source, row.outcome) == (
                call["model"],
                "final",
                "completed",
            )
            assert row.usage == msgspec.convert(call["usage"], type(row.usage))
        assert {row.model for row in rows} == set(models)
        return rows
