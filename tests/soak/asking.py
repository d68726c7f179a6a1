"""What customers ask: every dialect, streamed and not, long conversations and short questions, drawn from a seed."""

import random
from typing import Any

from aibridge_sandbox.script import directive
from tests.fixtures.asking import DIALECTS, VENDORS, Ask, ask

SESSIONS = 40
LEAVES_SHARE = 0.01
PREAMBLE = "You are a coding agent in a large repository. Answer briefly. " * 80
"""Some 1200 tokens, so that conversations are read from the vendors' caches."""


class Mix:
    """An endless draw of requests. `quick` ones are short and never leave: they are for finding a peak."""

    def __init__(self, rng: random.Random, key: str, *, quick: bool = False) -> None:
        self._rng = rng
        self._key = key
        self._quick = quick
        self._models = list(VENDORS)

    def draw(self) -> Ask:
        """The next request."""
        rng = self._rng
        dialect, model = rng.choice(DIALECTS), rng.choice(self._models)
        stream = rng.random() < 0.5
        session = rng.randrange(SESSIONS)
        words: dict[str, Any] = {"tokens": rng.randint(5, 20 if self._quick else 80)}
        if stream and not self._quick:
            words["delay_ms"] = rng.choice((2, 5, 20))
        text = f"{directive(**words)} question {rng.randrange(10**9)} of conversation {session}"
        preamble = PREAMBLE if session % 4 == 0 and not self._quick else "Answer briefly."
        leaves = stream and not self._quick and rng.random() < LEAVES_SHARE
        return ask(
            dialect,
            model,
            text,
            stream=stream,
            key=self._key,
            preamble=f"{preamble} Conversation {session}.",
            session=f"soak-{session}",
            leave_after=rng.randint(1, 6) if leaves else None,
        )
