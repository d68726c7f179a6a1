"""A task that dies is started again."""

import anyio
import pytest

from aibridge_common.web import tasks
from aibridge_common.web.tasks import supervised

pytestmark = pytest.mark.anyio


@pytest.fixture(autouse=True)
def _no_pauses(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(tasks, "PAUSE_MIN_S", 0.001)


async def test_work_that_fails_or_returns_is_started_again() -> None:
    starts: list[int] = []
    done = anyio.Event()

    async def work() -> None:
        starts.append(len(starts))
        if len(starts) == 1:
            raise RuntimeError("it broke")
        if len(starts) == 2:
            return
        done.set()
        await anyio.sleep_forever()

    async with anyio.create_task_group() as group:
        group.start_soon(supervised, "work", work)
        with anyio.fail_after(2):
            await done.wait()
        group.cancel_scope.cancel()

    assert starts == [0, 1, 2]


async def test_what_always_fails_is_tried_ever_more_rarely(monkeypatch: pytest.MonkeyPatch) -> None:
    pauses: list[float] = []

    class Enough(BaseException):
        """Not an Exception: it ends the supervisor as cancelling does."""

    async def sleep(seconds: float) -> None:
        pauses.append(seconds)
        if len(pauses) == 6:
            raise Enough

    async def work() -> None:
        raise RuntimeError("always")

    monkeypatch.setattr(tasks, "PAUSE_MAX_S", 0.01)
    monkeypatch.setattr(anyio, "sleep", sleep)
    with pytest.raises(Enough):
        await supervised("work", work)

    assert pauses == [0.001, 0.002, 0.004, 0.008, 0.01, 0.01]


async def test_cancelling_ends_it() -> None:
    ended = False

    async def work() -> None:
        await anyio.sleep_forever()

    with anyio.move_on_after(0.02):
        await supervised("work", work)
        ended = True

    assert not ended
