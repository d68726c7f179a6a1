"""numpy, untyped: it comes with the extra `llm` only, and types are checked where it is missing.

Docstrings name shapes instead: `(tokens, width)`.
"""

from importlib import import_module
from typing import Any, TypeAlias

np: Any = import_module("numpy")
Array: TypeAlias = Any
