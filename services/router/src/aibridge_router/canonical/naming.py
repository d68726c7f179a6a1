"""Names and ids that must fit a target's pattern, made the same way every time so that pairs stay pairs."""

import hashlib
import re

_TOOL_NAME_CHARACTERS = re.compile(r"[^a-zA-Z0-9_-]")


def short_tool_name(name: str, characters_max: int) -> str:
    """`name` in the characters every dialect takes, shortened with a digest where it is too long."""
    plain = _TOOL_NAME_CHARACTERS.sub("_", name)
    if plain == name and len(name) <= characters_max:
        return name
    digest = hashlib.sha1(name.encode(), usedforsecurity=False).hexdigest()[:8]
    return f"{plain[: characters_max - 9]}_{digest}"


def fitting_id(identifier: str, pattern: re.Pattern[str], prefix: str = "tc_") -> str:
    """`identifier` if it fits `pattern`, else a digest of it: call and result stay paired."""
    if pattern.fullmatch(identifier) is not None:
        return identifier
    digest = hashlib.sha1(identifier.encode(), usedforsecurity=False).hexdigest()
    return prefix + digest[:32]
