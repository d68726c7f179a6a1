"""What a user sees who is refused, and how soon."""

import pytest

from tests.fixtures.customer import Customer
from tests.fixtures.outside import Outside

from .claude_code import ClaudeCode
from .codex import Codex
from .driven import Place, Ran
from .evidence import Evidence
from .gemini_cli import GeminiCli

AT_ONCE_S = 15.0
"""A start and one answer; trying again takes Claude Code minutes."""
NEVER_ISSUED = "ab-000000000000000000000000000000000000000"


class TestClaudeCode:
    @pytest.mark.parametrize("variable", ["ANTHROPIC_API_KEY", "ANTHROPIC_AUTH_TOKEN"])
    def test_a_wrong_key(
        self, place: Place, outside: Outside, evidence: Evidence, variable: str
    ) -> None:
        stranger = ClaudeCode(
            place=place, base_url=outside.base_url, key=NEVER_ISSUED, key_variable=variable
        )

        ran = stranger.ask("Say hello", "claude-sonnet-5-5")

        _refused(ran, 401, "authenticate", "key")
        assert evidence.calls() == []

    @pytest.mark.parametrize("model", ["claude-sonnet-5-5", "gpt-5.5"])
    def test_no_balance(
        self,
        place: Place,
        outside: Outside,
        poor_customer: Customer,
        evidence: Evidence,
        model: str,
    ) -> None:
        poor = ClaudeCode(place=place, base_url=outside.base_url, key=poor_customer.key)

        ran = poor.ask("Say hello", model)

        _refused(ran, 402, "balance")
        assert evidence.calls() == []

    def test_a_model_that_there_is_not(self, claude_code: ClaudeCode, evidence: Evidence) -> None:
        ran = claude_code.ask("Say hello", "claude-of-tomorrow")

        _refused(ran, 404, "claude-of-tomorrow")
        assert evidence.calls() == []


class TestCodex:
    def test_a_wrong_key(self, place: Place, outside: Outside, evidence: Evidence) -> None:
        """It tries five times again, whatever the answer says."""
        stranger = Codex(place=place, base_url=outside.base_url, key=NEVER_ISSUED)

        ran = stranger.ask("Say hello", "gpt-4o")

        assert ran.code != 0
        assert "401 Unauthorized" in ran.said
        assert evidence.calls() == []

    def test_no_balance(
        self, place: Place, outside: Outside, poor_customer: Customer, evidence: Evidence
    ) -> None:
        poor = Codex(place=place, base_url=outside.base_url, key=poor_customer.key)

        ran = poor.ask("Say hello", "gpt-4o")

        assert ran.code != 0
        assert "Quota exceeded" in ran.said
        assert "Reconnecting" not in ran.said
        assert ran.took_s < AT_ONCE_S
        assert evidence.calls() == []


class TestGeminiCli:
    def test_a_wrong_key(self, place: Place, outside: Outside, evidence: Evidence) -> None:
        stranger = GeminiCli(place=place, base_url=outside.base_url, key=NEVER_ISSUED)

        ran = stranger.ask("Say hello", "gemini-2.5-pro")

        assert ran.code != 0
        assert "401" in ran.said
        assert ran.took_s < AT_ONCE_S
        assert evidence.calls() == []

    def test_no_balance(
        self, place: Place, outside: Outside, poor_customer: Customer, evidence: Evidence
    ) -> None:
        poor = GeminiCli(place=place, base_url=outside.base_url, key=poor_customer.key)

        ran = poor.ask("Say hello", "gemini-2.5-pro")

        assert ran.code != 0
        assert "balance" in ran.said
        assert evidence.calls() == []


def _refused(ran: Ran, status: int, *words: str) -> None:
    result = ran.document
    assert (ran.code, result["is_error"], result["api_error_status"]) == (1, True, status), ran.said
    for word in words:
        assert word in result["result"]
    assert ran.took_s < AT_ONCE_S
