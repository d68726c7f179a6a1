from collections.abc import Callable
from pathlib import Path

import pytest

SAMPLES = Path(__file__).parents[2] / "samples"


@pytest.fixture(scope="session")
def sample() -> Callable[[str], bytes]:
    """Reads `<dialect>/<name>` as the vendor streams it."""
    return lambda name: (SAMPLES / f"{name}.sse").read_bytes()
