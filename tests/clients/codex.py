"""Codex, headless, configured as the guide says."""

import re
from pathlib import Path
from typing import Any

from msgspec import Struct

from .driven import Place, Ran
from .installed import program

GUIDE = Path(__file__).parents[2] / "docs" / "guide" / "clients.md"
QUIET = """
check_for_update_on_startup = false

[analytics]
enabled = false

[feedback]
enabled = false

[features]
apps = false
plugins = false
"""
"""No notice of a newer version, no statistics, no lists of plugins from elsewhere."""


def guide_config(base_url: str) -> str:
    """The guide's config.toml, for this address."""
    found = re.search(
        r"^## Codex\n.*?^```toml\n(.*?)^```", GUIDE.read_text(), re.DOTALL | re.MULTILINE
    )
    assert found is not None
    return found[1].replace("https://your-server.com:3001", base_url)


class Codex(Struct, frozen=True, kw_only=True):
    """`codex exec` in a place of its own."""

    place: Place
    base_url: str
    key: str
    listed: bool = True
    """Whether it reads our list of models, or goes by what it knows itself."""

    def ask(self, prompt: str, model: str, *options: str) -> Ran:
        """One prompt, to its end. Its commands run without a sandbox of their own: they are the tests'."""
        home = self.place.home / ".codex"
        home.mkdir(exist_ok=True)
        config = guide_config(self.base_url)
        if not self.listed:
            config = re.sub(r"^model_catalog_url.*\n", "", config, flags=re.MULTILINE)
        settings, providers = config.split("\n[", 1)
        (home / "config.toml").write_text(f"{settings}{QUIET}\n[{providers}")
        return self.place.run(
            program("codex"),
            "exec",
            *options,
            "--strict-config",
            "--json",
            "--skip-git-repo-check",
            "--dangerously-bypass-approvals-and-sandbox",
            "--model",
            model,
            prompt,
            CODEX_HOME=str(home),
            OPENAI_API_KEY=self.key,
        )


def items(ran: Ran, kind: str) -> list[dict[str, Any]]:
    """What a run that went well completed of a kind, in order."""
    assert ran.code == 0, ran.said
    assert ran.lines[-1]["type"] == "turn.completed", ran.said
    completed = [line["item"] for line in ran.lines if line["type"] == "item.completed"]
    return [item for item in completed if item["type"] == kind]


def answer(ran: Ran) -> str:
    """The final text of a run that went well."""
    return items(ran, "agent_message")[-1]["text"]
