"""The tiny real language model of `make demo`, as one more provider of the catalogue."""

from pathlib import Path

from aibridge_devstack.failure import StartFailed
from aibridge_devstack.private_file import write_private

PROVIDER = "tinyllm"
MODEL = "smollm2-135m"

_ENTRIES = """
# ---------------------------------------------------------------------------------------------- make demo

[[providers]]
name = "{provider}"
title = "SmolLM2 on this machine"
base_url = "{url}"
auth = "bearer"
keys = ["any-key-will-do"]
[providers.paths]
openai_chat = "/v1/chat/completions"

[[models]]
id = "{model}"
title = "SmolLM2 135M"
provider = "{provider}"
strength = "Real, tiny, on this machine"
context_tokens = 8_192
max_output_tokens = 1_024
multipliers = {{ input = "0.001", output = "0.004" }}
headers_timeout_s = 600                    # requests wait for one another
idle_timeout_s = 600
[models.capabilities]
tools = false
vision = false
documents = false
structured = "json_only"
"""


def with_llm(catalog: Path, *, kept: Path, url: str) -> Path:
    """`kept`, a copy of the catalogue that also has the model; touched only when it changes."""
    try:
        before = catalog.read_text(encoding="utf-8")
    except (OSError, UnicodeDecodeError) as error:
        raise StartFailed(f"The catalogue {catalog} cannot be read: {error}") from error
    text = f"{before.rstrip()}\n{_ENTRIES.format(provider=PROVIDER, model=MODEL, url=url)}"
    if not kept.exists() or kept.read_bytes() != text.encode():
        write_private(kept, text.encode())
    return kept
