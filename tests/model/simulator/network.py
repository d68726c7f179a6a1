"""Who reaches whom, and the bus: it repeats, reorders, forgets what it acknowledged, and is wiped."""

from collections import deque
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import TypeVar

from .world import World

TIMEOUT_S = 5.0
"""After so long a caller stops waiting; what it asked for may have happened."""

REDELIVER_S = 60.0
WINDOW_S = 600.0
"""How long the bus remembers message ids."""

T = TypeVar("T")

BUS, BILLING = "bus", "billing"


@dataclass
class Odds:
    """How often small things go wrong, of 1."""

    repeated: float = 0.02
    lost: float = 0.01
    late: float = 0.01
    crash_before_commit: float = 0.002
    crash_before_ack: float = 0.003


NO_ODDS = Odds(0, 0, 0, 0, 0)


class Network:
    """Links between processes; each is up or cut, and a cut one loses what is on its way."""

    def __init__(self, world: World, odds: Odds) -> None:
        self._world = world
        self.odds = odds
        self._cut: dict[tuple[str, str], int] = {}
        self._down: dict[str, int] = {}

    def cut(self, one: str, other: str, for_s: float) -> None:
        link = (min(one, other), max(one, other))
        self._cut[link] = self._cut.get(link, 0) + 1
        self._world.after(for_s, self._mend, link)

    def _mend(self, link: tuple[str, str]) -> None:
        self._cut[link] -= 1

    def down(self, who: str, for_s: float) -> None:
        """A process or host that answers nobody."""
        self._down[who] = self._down.get(who, 0) + 1
        self._world.after(for_s, self._up, who)

    def _up(self, who: str) -> None:
        self._down[who] -= 1

    def reaches(self, one: str, other: str) -> bool:
        link = (min(one, other), max(one, other))
        return not (self._cut.get(link) or self._down.get(one) or self._down.get(other))

    def latency_s(self) -> float:
        random = self._world.random.random
        if self._world.chance(self.odds.late):
            return TIMEOUT_S * 2 * random()
        return 0.0005 + 0.004 * random()

    def ask(
        self, one: str, other: str, question: Callable[[], T], answer: Callable[[T | None], None]
    ) -> None:
        """A call. The answer is None when there was none in time, whatever the question did."""
        there_s, back_s = self.latency_s(), self.latency_s()
        after = self._world.after
        if there_s + back_s >= TIMEOUT_S:
            after(TIMEOUT_S, answer, None)
            if there_s < 2 * TIMEOUT_S:
                after(there_s, self._arrive_late, one, other, question)
            return
        after(there_s, self._arrive, one, other, question, answer, there_s, back_s)

    def _arrive_late(self, one: str, other: str, question: Callable[[], object]) -> None:
        if self.reaches(one, other):
            question()

    def _arrive(
        self,
        one: str,
        other: str,
        question: Callable[[], T],
        answer: Callable[[T | None], None],
        there_s: float,
        back_s: float,
    ) -> None:
        if self.reaches(one, other):
            value = question()
            self._world.after(back_s, self._return, one, other, value, answer, there_s + back_s)
        else:
            self._world.after(TIMEOUT_S - there_s, answer, None)

    def _return(
        self, one: str, other: str, value: T, answer: Callable[[T | None], None], took_s: float
    ) -> None:
        if self.reaches(one, other):
            answer(value)
        else:
            self._world.after(TIMEOUT_S - took_s, answer, None)


@dataclass
class Message:
    """What the bus holds of an envelope."""

    router: str
    payload: bytes
    acknowledged: bool = False


@dataclass
class Bus:
    """A stream with one consumer."""

    world: World
    network: Network
    waiting: deque[Message] = field(default_factory=deque[Message])
    redelivered: int = 0
    generation: int = 0
    on_stored: Callable[[], None] = lambda: None
    _seen_at_s: dict[str, float] = field(default_factory=dict[str, float])

    def store(self, router: str, message_id: str, payload: bytes) -> bool:
        """Take a message; True is the acknowledgement, and the message may be lost all the same."""
        world, odds = self.world, self.network.odds
        seen_at_s = self._seen_at_s.get(message_id)
        if seen_at_s is not None and world.now_s - seen_at_s < WINDOW_S:
            return True
        self._seen_at_s[message_id] = world.now_s
        if world.chance(odds.lost):
            world.say("bus loses", message_id)
            return True
        for _ in range(2 if world.chance(odds.repeated) else 1):
            self.waiting.append(Message(router, payload))
        self.on_stored()
        return True

    def fetch(self, count: int) -> list[Message]:
        """Not always the oldest first."""
        if len(self.waiting) > 1 and self.world.chance(0.2):
            self.waiting.rotate(-self.world.random.randrange(len(self.waiting)))
        found = [self.waiting.popleft() for _ in range(min(count, len(self.waiting)))]
        if found:
            self.world.after(REDELIVER_S, self._redeliver, found, self.generation)
        return found

    def wipe(self) -> None:
        """Everything is gone, and the memory of message ids too."""
        self.generation += 1
        self.waiting.clear()
        self._seen_at_s.clear()

    def _redeliver(self, messages: list[Message], generation: int) -> None:
        if generation != self.generation:
            return
        again = [message for message in messages if not message.acknowledged]
        self.redelivered += len(again)
        self.waiting.extend(again)
        if again:
            self.on_stored()
