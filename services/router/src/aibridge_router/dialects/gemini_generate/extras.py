"""Members of a request that only Google knows, and what becomes of them elsewhere.

They are kept by their path (`safetySettings`, `generationConfig.mediaResolution`) and go back out under it.
"""

from typing import Any

import msgspec
from msgspec import Raw

from aibridge_common.dialect import Dialect
from aibridge_router.dialects.gemini_generate.output_format import is_unknown_form
from aibridge_router.dialects.gemini_generate.tools import says_more
from aibridge_router.dialects.gemini_generate.wire import (
    Body,
    FunctionDeclaration,
    GenerationConfig,
    ToolConfig,
    Wire,
    present,
)

_decode_members = msgspec.json.Decoder(dict[str, Raw]).decode
_decode_names = msgspec.json.Decoder(list[str]).decode

_KNOWN = frozenset({*Body.__struct_encode_fields__, "model"})
_INSIDE = {
    "generationConfig": frozenset(GenerationConfig.__struct_encode_fields__),
    "toolConfig": frozenset(ToolConfig.__struct_encode_fields__),
}

_NEEDED = frozenset(
    {"cachedContent", "generationConfig.responseFormat", "generationConfig.speechConfig"}
)
"""Without these the answer would be another one."""

_MODALITIES = "generationConfig.responseModalities"
_MIME_TYPE = "generationConfig.responseMimeType"

_DROPPED = {
    "safetySettings": "safety_settings",
    "serviceTier": "service_tier",
    "labels": "metadata",
    "generationConfig.mediaResolution": "image_detail",
}
"""Everything else is dropped under the name `extras`."""


class Extras:
    """What was found in one body."""

    def __init__(self, members: dict[str, Raw]) -> None:
        self.members: dict[str, Raw] = {}
        self.needs: list[str] = []
        self.drops: list[str] = []
        for name, raw in members.items():
            if name in _INSIDE and present(raw) is not None:
                for inner, value in _decode_members(raw).items():
                    if inner not in _INSIDE[name] and present(value) is not None:
                        self._keep(f"{name}.{inner}", value)
            elif name not in _KNOWN and present(raw) is not None:
                self._keep(name, raw)

    def note(
        self, config: GenerationConfig, declared: list[FunctionDeclaration], needs: list[str]
    ) -> None:
        """Add what is Google's alone among the members that the hub has words for."""
        self.needs += needs
        if is_unknown_form(config):
            self.needs.append(_MIME_TYPE)
            self.members[_MIME_TYPE] = Raw(msgspec.json.encode(config.response_mime_type))
        if any(map(says_more, declared)):
            self._drop("extras")

    @property
    def by_dialect(self) -> dict[Dialect, dict[str, Raw]]:
        """The members, as `Request.extras` holds them; the dialect is named where anything was found at all."""
        if self.members or self.needs or self.drops:
            return {Dialect.GEMINI_GENERATE: self.members}
        return {}

    def _keep(self, path: str, raw: Raw) -> None:
        self.members[path] = raw
        if path in _NEEDED or (path == _MODALITIES and not _is_text_only(raw)):
            self.needs.append(path)
        elif path != _MODALITIES:
            self._drop(_DROPPED.get(path, "extras"))

    def _drop(self, name: str) -> None:
        if name not in self.drops:
            self.drops.append(name)


def with_extras(body: Wire, extras: dict[str, Raw]) -> Wire:
    """`body` with the members back in their places."""
    found: dict[str, Any] = dict(body)
    for path, raw in extras.items():
        name, _, inner = path.partition(".")
        if inner and name in _INSIDE:
            found[name] = {**found.get(name, {}), inner: raw}
        else:
            found[path] = raw
    return found


def _is_text_only(raw: Raw) -> bool:
    try:
        return all(name.upper() == "TEXT" for name in _decode_names(raw))
    except msgspec.DecodeError:
        return False
