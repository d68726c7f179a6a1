"""Claude Code, headless."""

from msgspec import Struct

from .driven import Place, Ran
from .installed import program

QUIET = {
    "CLAUDE_CODE_DISABLE_NONESSENTIAL_TRAFFIC": "1",
    "DISABLE_AUTOUPDATER": "1",
    "DISABLE_TELEMETRY": "1",
    "DISABLE_ERROR_REPORTING": "1",
    "DISABLE_BUG_COMMAND": "1",
}
TOOLS = "Agent,Bash,Edit,Read,ToolSearch,WebSearch,Write"
"""What it may do unasked. As root it refuses to skip the question for everything."""


class ClaudeCode(Struct, frozen=True, kw_only=True):
    """`claude -p` in a place of its own."""

    place: Place
    base_url: str
    key: str
    key_variable: str = "ANTHROPIC_API_KEY"

    def ask(self, prompt: str, model: str, *options: str) -> Ran:
        """One prompt, to its end."""
        return self.place.run(
            program("claude"),
            "-p",
            prompt,
            "--model",
            model,
            "--output-format",
            "json",
            "--allowedTools",
            TOOLS,
            *options,
            **QUIET,
            **{self.key_variable: self.key},
            ANTHROPIC_BASE_URL=self.base_url,
            CLAUDE_CONFIG_DIR=str(self.place.home / ".claude"),
        )


def answer(ran: Ran) -> str:
    """The final text of a run that went well."""
    result = ran.document
    assert (ran.code, result["is_error"], result["subtype"]) == (0, False, "success"), ran.said
    assert result["permission_denials"] == []
    return result["result"]
