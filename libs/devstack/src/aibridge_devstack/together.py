import asyncio
from collections.abc import Coroutine
from typing import Any, TypeVar

from aibridge_devstack.failure import StartFailed

T = TypeVar("T")


async def together(*steps: Coroutine[Any, Any, T]) -> list[T]:
    """Run them at the same time; the first failure ends the others and is the one raised.

    They begin in the order given, each up to its first wait.
    """
    failure: StartFailed | None = None
    tasks: list[asyncio.Task[T]] = []
    try:
        async with asyncio.TaskGroup() as group:
            tasks = [group.create_task(step) for step in steps]
    except* StartFailed as failures:
        failure = next(f for f in failures.exceptions if isinstance(f, StartFailed))
    if failure is not None:
        raise failure
    return [task.result() for task in tasks]
