"""Settings come from the environment, once, when a service is composed; nothing is read at import."""

import types
from collections.abc import Mapping
from typing import Any, TypeVar, get_args

import msgspec

from aibridge_common.errors import AIBridgeError

S = TypeVar("S", bound=msgspec.Struct)


class Secret:
    """A value that never prints itself; `reveal()` is the one way to it."""

    __slots__ = ("_value",)

    def __init__(self, value: str) -> None:
        self._value = value

    def reveal(self) -> str:
        """The value, for the one place that needs it."""
        return self._value

    def __repr__(self) -> str:
        return "Secret(***)"

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Secret) and other._value == self._value

    def __hash__(self) -> int:
        return hash(self._value)


class InvalidSettings(AIBridgeError):
    """A variable is missing or wrong; the message names it."""

    code, status = "invalid_settings", 500


def load(kind: type[S], environ: Mapping[str, str], prefix: str) -> S:
    """Read `kind` from variables named `{prefix}{FIELD}`.

    Raises `InvalidSettings` naming the variable that is missing or does not fit.
    """
    values: dict[str, Any] = {}
    for field in msgspec.structs.fields(kind):
        name = prefix + field.name.upper()
        text = environ.get(name)
        if text is None or text == "":
            if field.required:
                raise InvalidSettings(f"{name} is not set")
            continue
        try:
            values[field.name] = msgspec.convert(
                text, field.type, strict=False, dec_hook=_decode_special
            )
        except (msgspec.ValidationError, ValueError) as error:
            reason = "its value is not shown" if _is_secret(field.type) else str(error)
            raise InvalidSettings(f"{name} does not fit: {reason}") from None
    return kind(**values)


def parse_tokens(tokens: Secret) -> dict[str, str]:
    """`name=token,name=token` as a mapping from token to name.

    Raises `InvalidSettings` for an entry without a name or with a token shorter than 16 characters.
    """
    parsed: dict[str, str] = {}
    for entry in tokens.reveal().split(","):
        name, _, token = entry.strip().partition("=")
        if not name or len(token) < 16:
            raise InvalidSettings("service tokens are name=token pairs of at least 16 characters")
        parsed[token] = name
    return parsed


def _is_secret(kind: Any) -> bool:
    return kind is Secret or (isinstance(kind, types.UnionType) and Secret in get_args(kind))


def _decode_special(kind: type, value: Any) -> Any:
    if kind is Secret:
        return Secret(str(value))
    raise NotImplementedError(kind)
