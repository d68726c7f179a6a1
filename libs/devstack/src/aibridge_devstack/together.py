import asyncio
from collections.abc import Coroutine
from typing import Any

from aibridge_devstack.failure import StartFailed


async def together(*steps: Coroutine[Any, Any, object]) -> None:
    """Run them at the same time; the first failure ends the others and is the one raised.

    They begin in the order given, each up to its first wait.
    """
    failure: StartFailed | None = None
    try:
        async with asyncio.TaskGroup() as group:
            for step in steps:
                group.create_task(step)
    except* StartFailed as failures:
        failure = next(f for f in failures.exceptions if isinstance(f, StartFailed))
    if failure is not None:
        raise failure
