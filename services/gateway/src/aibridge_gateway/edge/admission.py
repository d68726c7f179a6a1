"""Whether one more request may run now: what this worker can serve, and what one account may take of it. Pure."""

from uuid import UUID

from aibridge_common.dialect import Operation
from aibridge_common.errors import RateLimited
from aibridge_common.web.overload import Limiter

_FREE = frozenset({Operation.COUNT_TOKENS, Operation.LIST_MODELS, Operation.GET_MODEL})
"""They cost nothing and take milliseconds: the first to be refused by a worker that has too much to do, and not counted
for the account, since Claude Code counts the tokens of two dozen tools at once."""


class Admission:
    """Counts requests from `enter()` to `leave()`: a stream until its end."""

    def __init__(self, limiter: Limiter, account_concurrency_max: int) -> None:
        self._limiter = limiter
        self._account_concurrency_max = account_concurrency_max
        self._running: dict[UUID, int] = {}

    def enter(self, account_id: UUID, operation: Operation) -> None:
        """Count one more. Raises `RateLimited` for an account that has enough, `Unavailable` under overload."""
        if operation in _FREE:
            self._limiter.enter(shed_first=True)
            return
        running = self._running.get(account_id, 0)
        if running >= self._account_concurrency_max:
            raise RateLimited(
                f"{running} requests of this account are running, as many as may at once; try again when one has ended",
                retry_after_s=1,
            )
        self._limiter.enter()
        self._running[account_id] = running + 1

    def leave(self, account_id: UUID, operation: Operation) -> None:
        """One that entered has ended."""
        self._limiter.leave()
        if operation in _FREE:
            return
        running = self._running.pop(account_id) - 1
        if running:
            self._running[account_id] = running
