"""One worker thread for a model that can do one thing at a time, and a short queue before it."""

import asyncio
import threading
from collections.abc import AsyncGenerator, AsyncIterator, Callable, Iterable
from concurrent.futures import ThreadPoolExecutor
from contextlib import asynccontextmanager
from typing import Generic, TypeAlias, TypeVar

from aibridge_tinyllm.refusal import Refusal

T = TypeVar("T")
Work: TypeAlias = Callable[[Callable[[], bool]], Iterable[T]]
"""Makes the results one by one, in the worker's thread; asks now and then whether they are still wanted."""


class Sitting(Generic[T]):
    """The results of one piece of work, as the event loop sees them."""

    def __init__(self, work: Work[T]) -> None:
        self._work = work
        self._loop = asyncio.get_running_loop()
        self._results: asyncio.Queue[T | Exception | None] = asyncio.Queue()
        self._unwanted = threading.Event()

    def leave(self) -> None:
        """The results are wanted no more: the work ends soon, and so does the iteration."""
        self._unwanted.set()
        self._results.put_nowait(None)

    def run(self) -> None:
        """In the worker's thread."""
        outcome: Exception | None = None
        try:
            for result in () if self._unwanted.is_set() else self._work(self._wanted):
                if self._unwanted.is_set():
                    break
                self._loop.call_soon_threadsafe(self._results.put_nowait, result)
        except Exception as error:  # noqa: BLE001 - handed to who waits for the results
            outcome = error
        if not self._loop.is_closed():
            self._loop.call_soon_threadsafe(self._results.put_nowait, outcome)

    async def results(self) -> AsyncIterator[T]:
        """As they come. Raises what the work raised."""
        while (result := await self._results.get()) is not None:
            if isinstance(result, Exception):
                raise result
            yield result

    def _wanted(self) -> bool:
        return not self._unwanted.is_set()


class Seat:
    """First come, first served; a client that left gives its place back at once."""

    def __init__(self, *, waiting_max: int) -> None:
        self._taken_max = waiting_max + 1
        self._taken = 0
        self._worker = ThreadPoolExecutor(max_workers=1, thread_name_prefix="model")

    @asynccontextmanager
    async def take(self, work: Work[T]) -> AsyncGenerator[Sitting[T]]:
        """Raises the 429 `Refusal` when too many wait already."""
        if self._taken >= self._taken_max:
            raise Refusal(
                429,
                f"The model is busy and {self._taken - 1} requests wait. Try again later.",
                code="rate_limit_exceeded",
                kind="requests",
            )
        self._taken += 1
        sitting = Sitting(work)
        turn = self._worker.submit(sitting.run)
        try:
            yield sitting
        finally:
            sitting.leave()
            turn.cancel()
            self._taken -= 1
