import tempfile
from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from .rig import Edge, running


@pytest.fixture
async def edge() -> AsyncIterator[Edge]:
    """An edge with a router behind it; the socket's path must be short."""
    with tempfile.TemporaryDirectory() as directory:
        async with running(Path(directory)) as rig:
            yield rig
