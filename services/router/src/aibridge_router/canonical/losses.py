"""What a conversion leaves out, and what it must refuse: the one table of both.

A drop is named in `x-aibridge-dropped`; a refusal is a 400 that names the field. The documentation's page is generated
from `DROPS` and `REFUSALS`.
"""

from aibridge_common.errors import InvalidRequest


class CannotSay(InvalidRequest):
    """The target's dialect or model cannot say what the request asks for; leaving it out would change its meaning."""

    code = "cannot_convert"


DROPS: dict[str, str] = {
    "seed": "the target has no seed",
    "top_k": "the target has no top_k",
    "sampling": "the model fixes its own sampling",
    "penalties": "the target has no presence or frequency penalty",
    "logit_bias": "the target has no logit bias",
    "verbosity": "the target has no verbosity",
    "service_tier": "tiers belong to one vendor",
    "cache_control": "the target caches by itself",
    "citations": "citations are not converted",
    "safety_settings": "safety settings belong to one vendor",
    "prediction": "predicted output belongs to one vendor",
    "metadata": "metadata stays with the vendor it was written for",
    "context_management": "context management belongs to one vendor",
    "stream_options": "padding and obfuscation belong to one vendor",
    "reasoning": "the model does not reason, or not by level",
    "thinking": "foreign reasoning cannot be replayed",
    "parallel_tool_calls": "the target cannot forbid parallel calls",
    "image_detail": "the target has no level of image detail",
    "output_format": "the answer's form is asked for in words, not forced",
    "strict": "the schema is not strict enough for the target's strict mode",
    "server_tools": "another vendor's server tools are left out while other tools remain",
    "deferred_tools": "every tool is sent at once",
    "stop": "the target has no stop sequences",
    "name": "the target has no names on messages",
    "orphans": "a tool result without its call was left out",
    "extras": "members that the hub has no word for",
}
"""Name in the header, and why it is left out."""

REFUSALS: dict[str, str] = {
    "n": "more than one choice",
    "logprobs": "log probabilities",
    "audio": "audio in or out",
    "file": "a file that lives at another provider",
    "image_url": "an image URL that may not be fetched",
    "stop": "more stop sequences than the target takes",
    "server_tools": "a server tool with no other tool left",
    "needs": "server-side state or containers of one vendor",
    "vision": "an image for a model that cannot see",
    "documents": "a document for a model that cannot read it",
    "tools": "tools for a model without tools",
}
"""Name, and what is refused with a 400."""


class Losses:
    """Collects the drops of one conversion, each named once."""

    def __init__(self) -> None:
        self._names: list[str] = []

    def drop(self, name: str) -> None:
        """Note that something was left out; `name` is one of `DROPS`."""
        assert name in DROPS, name
        if name not in self._names:
            self._names.append(name)

    @property
    def names(self) -> tuple[str, ...]:
        """What was left out, in the order it was met."""
        return tuple(self._names)
