from collections.abc import Iterator

import anthropic
import httpx
import openai
import pytest
from google import genai

from aibridge_sandbox.settings import Settings

from .rig import Rig, running


@pytest.fixture(scope="session")
def sandbox_base() -> Iterator[str]:
    with running(Settings()) as base:
        yield base


@pytest.fixture
def rig(sandbox_base: str) -> Iterator[Rig]:
    with httpx.Client(timeout=10) as http:
        found = Rig(base=sandbox_base, http=http)
        found.clear()
        yield found


@pytest.fixture
def openai_sdk(rig: Rig) -> Iterator[openai.OpenAI]:
    with openai.OpenAI(
        api_key="sk-test", base_url=f"{rig.base}/openai/v1", max_retries=0
    ) as client:
        yield client


@pytest.fixture
def anthropic_sdk(rig: Rig) -> Iterator[anthropic.Anthropic]:
    with anthropic.Anthropic(
        api_key="sk-test", base_url=f"{rig.base}/anthropic", max_retries=0
    ) as client:
        yield client


@pytest.fixture
def google_sdk(rig: Rig) -> Iterator[genai.Client]:
    client = genai.Client(
        api_key="sk-test",
        http_options=genai.types.HttpOptions(base_url=f"{rig.base}/google"),
    )
    yield client
    client.close()
