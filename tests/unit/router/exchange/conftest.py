from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from aibridge_router.exchange import exchange, pump

from .scene import Scene, opened


@pytest.fixture
async def scene(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> AsyncIterator[Scene]:
    """An exchange room whose limits are tenths of seconds."""
    monkeypatch.setattr(pump, "TICK_S", 0.02)
    monkeypatch.setattr(pump, "DRAIN_AFTER_CLIENT_S", 0.2)
    monkeypatch.setattr(pump, "STALL_S", 0.2)
    monkeypatch.setattr(exchange, "LAST_WORD_S", 0.1)
    async with opened(tmp_path / "spool") as running:
        yield running
