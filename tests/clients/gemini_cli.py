"""The Gemini CLI, headless."""

import json
from typing import Any

from msgspec import Struct

from .driven import Place, Ran
from .installed import program

SETTINGS: dict[str, Any] = {
    "general": {"enableAutoUpdate": False, "enableAutoUpdateNotification": False},
    "privacy": {"usageStatisticsEnabled": False},
    "telemetry": {"enabled": False},
    "security": {"auth": {"selectedType": "gemini-api-key"}},
}


class GeminiCli(Struct, frozen=True, kw_only=True):
    """`gemini -p` in a place of its own."""

    place: Place
    base_url: str
    key: str

    def ask(self, prompt: str, model: str, *options: str) -> Ran:
        """One prompt, to its end."""
        home = self.place.home / ".gemini"
        home.mkdir(exist_ok=True)
        (home / "settings.json").write_text(json.dumps(SETTINGS))
        return self.place.run(
            program("gemini"),
            "-p",
            prompt,
            "--output-format",
            "json",
            "--approval-mode",
            "yolo",
            "--skip-trust",
            *options,
            GEMINI_API_KEY=self.key,
            GEMINI_MODEL=model,
            GOOGLE_GEMINI_BASE_URL=self.base_url,
        )


def answer(ran: Ran) -> str:
    """The final text of a run that went well."""
    assert ran.code == 0, ran.said
    result = ran.document
    assert "error" not in result, ran.said
    return result["response"]
