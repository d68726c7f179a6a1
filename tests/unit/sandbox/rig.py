"""A running sandbox, and raw ways to talk to it."""

import json
import socket
import threading
import time
from collections.abc import Generator
from contextlib import contextmanager
from typing import Any
from urllib.parse import urlsplit

import httpx
import msgspec

from aibridge_sandbox.app import create_app
from aibridge_sandbox.server import build_server
from aibridge_sandbox.settings import Settings

Body = dict[str, Any]

ROUTES = {
    "chat": "/openai/v1/chat/completions",
    "responses": "/openai/v1/responses",
    "messages": "/anthropic/v1/messages",
    "gemini": "/google/v1beta/models/gemini-3.5-flash:streamGenerateContent?alt=sse",
    "gemini-whole": "/google/v1beta/models/gemini-3.5-flash:generateContent",
    "gemini-array": "/google/v1beta/models/gemini-3.5-flash:streamGenerateContent",
}


class Rig(msgspec.Struct, frozen=True, kw_only=True):
    base: str
    http: httpx.Client

    def post(
        self, name: str, body: Body, *, key: str = "sk-test", **headers: str
    ) -> httpx.Response:
        """To a route of `ROUTES`, with every vendor's way of showing the key."""
        return self.http.post(
            self.base + ROUTES[name], json=body, headers={**credentials(key), **headers}
        )

    def ask(self, name: str, text: str, *, stream: bool = True, **more: Any) -> httpx.Response:
        return self.post(name, ask(name, text, stream=stream, **more))

    def truth(self, index: int = -1) -> Body:
        """The last call in the log, once it is written."""
        found: list[Body] = self.http.get(f"{self.base}/_sandbox/log?limit=5").json()
        return found[index]

    def clear(self) -> None:
        self.http.delete(f"{self.base}/_sandbox/faults")
        self.http.delete(f"{self.base}/_sandbox/log")

    def raw(self, name: str, body: Body, *, timeout_s: float = 5.0) -> tuple[list[bytes], bool]:
        """Every piece the socket yields, and whether it ended with a reset."""
        target = urlsplit(self.base)
        data = json.dumps(body).encode()
        head = [f"POST {ROUTES[name]} HTTP/1.1", "Host: sandbox", f"Content-Length: {len(data)}"]
        head.extend(f"{key}: {value}" for key, value in credentials("sk-test").items())
        pieces: list[bytes] = []
        with socket.create_connection((target.hostname, target.port), timeout=timeout_s) as peer:
            peer.sendall("\r\n".join([*head, "Connection: close", "", ""]).encode() + data)
            try:
                while piece := peer.recv(65_536):
                    pieces.append(piece)
            except ConnectionResetError:
                return pieces, True
        return pieces, False


def credentials(key: str) -> dict[str, str]:
    return {
        "authorization": f"Bearer {key}",
        "x-api-key": key,
        "x-goog-api-key": key,
        "anthropic-version": "2023-06-01",
    }


def ask(name: str, text: str, *, stream: bool = True, **more: Any) -> Body:
    """The least body that asks `text` on a route."""
    message = {"role": "user", "content": text}
    match name:
        case "chat":
            return {"model": "gpt-4o", "stream": stream, "messages": [message], **more}
        case "responses":
            return {"model": "gpt-4o", "stream": stream, "input": text, **more}
        case "messages":
            model = "claude-opus-5-5"
            limits = {"max_tokens": 500, "stream": stream}
            return {"model": model, **limits, "messages": [message], **more}
        case _:
            return {"contents": [{"role": "user", "parts": [{"text": text}]}], **more}


def events(response: httpx.Response) -> list[Body]:
    """The JSON of every SSE frame."""
    frames = response.text.replace("\r\n", "\n").split("\n\n")
    lines = [line for frame in frames for line in frame.split("\n") if line.startswith("data: ")]
    return [json.loads(line[6:]) for line in lines if line != "data: [DONE]"]


@contextmanager
def running(settings: Settings) -> Generator[str]:
    """The base URL of a sandbox in a thread."""
    server = build_server(create_app(settings))
    thread = threading.Thread(target=server.run, daemon=True)
    thread.start()
    try:
        while not server.started:
            time.sleep(0.01)
        host, port = server.servers[0].sockets[0].getsockname()[:2]
        yield f"http://{host}:{port}"
    finally:
        server.should_exit = True
        thread.join(5)
