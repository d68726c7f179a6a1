"""Every official SDK on a model of every vendor dialect; the strict sandbox refuses a conversion that is off."""

import json
import subprocess
from pathlib import Path

import pytest

from tests.e2e.scenarios import CANNOT, MODELS, SCENARIOS, SDKS, run
from tests.fixtures.outside import Outside


@pytest.mark.parametrize("model", MODELS.values())
@pytest.mark.parametrize("sdk", SDKS)
@pytest.mark.parametrize("scenario", SCENARIOS)
@pytest.mark.filterwarnings("ignore::DeprecationWarning")  # SDKs warn of the guide's old models
@pytest.mark.filterwarnings("ignore::UserWarning")
def test_a_scenario(sdk: str, scenario: str, model: str, outside: Outside) -> None:
    if (sdk, scenario, model) in CANNOT:
        pytest.skip(CANNOT[sdk, scenario, model])
    run(sdk, scenario, model, outside.base_url, outside.key)


@pytest.mark.filterwarnings("ignore::DeprecationWarning")
@pytest.mark.filterwarnings("ignore::UserWarning")
@pytest.mark.parametrize(
    ("sdk", "first", "then"),
    [
        ("anthropic", "gpt-5.5", "claude-sonnet-5-5"),
        ("anthropic", "gemini-3.5-flash", "claude-sonnet-5-5"),
        ("anthropic", "claude-sonnet-5-5", "gpt-5.5"),
        ("openai responses", "claude-sonnet-5-5", "gpt-5.5"),
        ("openai responses", "gpt-5.5", "gemini-3.5-flash"),
        ("google", "claude-sonnet-5-5", "gemini-3.5-flash"),
        ("google", "gemini-3.5-flash", "gpt-5.5"),
    ],
)
def test_a_conversation_moves_between_vendors(
    sdk: str, first: str, then: str, outside: Outside
) -> None:
    """What one vendor thought is given back while another answers; strict vendors refuse foreign state."""
    SDKS[sdk](outside.base_url, outside.key).thinking(first, then)


def test_the_older_sdks(outside: Outside) -> None:
    """The same scenarios under one major older, in an environment of its own (`make test` installs it)."""
    python = Path(__file__).parents[2] / ".venv-old-sdks" / "bin" / "python"
    program = Path(__file__).with_name("scenarios.py")
    done = subprocess.run(
        [python, "-W", "ignore", program, outside.base_url, outside.key, *MODELS.values()],
        capture_output=True,
        text=True,
        timeout=110,
        check=True,
    )
    report = json.loads(done.stdout)

    assert report["failures"] == {}
    assert report["played"] > 100
