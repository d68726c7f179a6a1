"""The stand-in vendors: rules that make them fail, and their own log of what they did."""

from pathlib import Path
from typing import Any

import httpx
import msgspec
from msgspec import Struct

from aibridge_common.usage import Usage

NAMES = ("anthropic", "openai", "google")
FAULTS: tuple[dict[str, Any], ...] = (
    {"status": 503},
    {"cut": "connect"},
    {"status": 529},
    {"error": "content"},
    {"garbage": "html"},
    {"status": 500},
    {"empty": True},
    {"cut": {"at": "connect", "reset": True}},
)
"""Every way to fail before the first content that is noticed at once."""


class Call(Struct, frozen=True):
    """One vendor call as the vendor saw it."""

    at: float
    vendor: str
    endpoint: str
    model: str
    request_id: str
    status: int
    outcome: str
    usage: Usage
    reported: bool


class Vendors:
    """Their control API, and their log on disk: that in memory forgets."""

    def __init__(self, sandbox_url: str, log: Path) -> None:
        self._http = httpx.AsyncClient(base_url=sandbox_url, timeout=10, trust_env=False)
        self._log = log

    async def fail(self, *scripts: dict[str, Any]) -> None:
        """From now on these rules, and no others, are in force."""
        await self.heal()
        answer = await self._http.post("/_sandbox/faults", json=list(scripts))
        answer.raise_for_status()

    async def heal(self) -> None:
        """Forget every rule."""
        (await self._http.delete("/_sandbox/faults")).raise_for_status()

    async def close(self) -> None:
        """Leave their API."""
        await self._http.aclose()

    def end_of_log(self) -> int:
        """Where the log ends now, for `calls`."""
        return self._log.stat().st_size

    def calls(self, since: int = 0) -> list[Call]:
        """Every call that was answered or broken off since, oldest first."""
        with self._log.open("rb") as lines:
            lines.seek(since)
            return [msgspec.json.decode(line, type=Call) for line in lines]
