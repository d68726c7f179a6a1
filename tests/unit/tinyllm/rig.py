"""A running server with a scripted model behind it."""

import threading
from collections.abc import Callable, Generator, Iterator, Sequence
from contextlib import contextmanager
from typing import Any

import httpx
import uvicorn

from aibridge_tinyllm.app import App, create_app
from aibridge_tinyllm.chat_template import Turn
from aibridge_tinyllm.sampling import Sampling

Body = dict[str, Any]
CHAT = "/v1/chat/completions"
KEY = {"authorization": "Bearer any"}


class Scripted:
    """Says its pieces; a letter is a token of the prompt."""

    name = "scripted"
    context_tokens = 100

    def __init__(self, *pieces: bytes) -> None:
        self.pieces = pieces
        self.may_go_on = threading.Event()
        self.may_go_on.set()
        self.fails = False
        self.heard: list[tuple[Turn, ...]] = []
        self.sampled: list[Sampling] = []
        self.generated = 0
        self.abandoned = threading.Event()

    def prompt(self, turns: Sequence[Turn]) -> list[int]:
        return [0] * sum(len(turn.text) for turn in turns)

    def generate(
        self,
        prompt: Sequence[int],
        *,
        sampling: Sampling,
        tokens_max: int,
        wanted: Callable[[], bool],
    ) -> Iterator[bytes]:
        assert len(prompt) + tokens_max <= self.context_tokens
        self.sampled.append(sampling)
        for piece in self.pieces[:tokens_max]:
            while not self.may_go_on.wait(0.01):
                if not wanted():
                    self.abandoned.set()
                    return
            if self.fails:
                raise RuntimeError("scripted")
            self.generated += 1
            yield piece


@contextmanager
def serving(app: App) -> Generator[str]:
    """The server's base URL."""
    server = uvicorn.Server(
        uvicorn.Config(app, port=0, lifespan="off", ws="none", log_level="critical")
    )
    thread = threading.Thread(target=server.run)
    thread.start()
    while not server.started:
        assert thread.is_alive()
        thread.join(0.01)
    try:
        host, port = server.servers[0].sockets[0].getsockname()
        yield f"http://{host}:{port}"
    finally:
        server.should_exit = True
        thread.join()


@contextmanager
def scripted(model: Scripted, **options: int) -> Generator[httpx.Client]:
    """A client of a server of this model."""
    with (
        serving(create_app(model, **options)) as base,
        httpx.Client(base_url=base, headers=KEY, timeout=10) as http,
    ):
        yield http


def ask(text: str = "Hi", **more: Any) -> Body:
    return {"model": "scripted", "messages": [{"role": "user", "content": text}], **more}
