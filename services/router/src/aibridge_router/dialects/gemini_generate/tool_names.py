"""Names of functions at Google: a letter or an underscore, then letters, digits and `_ . : -`, 128 in all."""

import re
from functools import lru_cache

from aibridge_router.canonical.naming import short_tool_name

TOOL_NAME_CHARACTERS_MAX = 128
_FITTING = re.compile(r"[A-Za-z_][A-Za-z0-9_.:-]{0,127}")
_NAMES_KEPT = 1024


@lru_cache(maxsize=_NAMES_KEPT)
def tool_name(name: str) -> str:
    """`name` as Google takes it; the same name every time, so that calls and declarations stay together."""
    if _FITTING.fullmatch(name) is not None:
        return name
    short = short_tool_name(name, TOOL_NAME_CHARACTERS_MAX)
    if _FITTING.fullmatch(short) is not None:
        return short
    return "_" + short_tool_name(name, TOOL_NAME_CHARACTERS_MAX - 1)
