"""Plays every AI-Bridge program, chosen by the name in argv[1]: real sockets, no product behind."""

import asyncio
import json
import os
import signal
import sys
from http.server import BaseHTTPRequestHandler, HTTPServer
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

HOME = Path(os.environ["AIBRIDGE_HOME"])


def main() -> None:
    name, command, *rest = sys.argv[1:]
    note(f"{command} {name}")
    if name == os.environ.get("FAKE_BROKEN") and command == "serve":
        sys.exit(f"{name} is broken")
    match command:
        case "new-key":
            say("ab-fake")
        case "migrate":
            asyncio.run(create_schema(name))
        case "seed" if name == "auth":
            assert os.environ["AIBRIDGE_AUTH_ADMIN_PASSWORD"]
            say(json.dumps({"demo_account_id": "acc_1", "demo_key": setting("auth", "DEMO_KEY")}))
        case "seed" if name == "billing":
            say(json.dumps({"demo_balance_tokens": "5000000"}))
        case "seed":
            note(" ".join(rest))
        case _:
            serve(name, rest)


async def create_schema(name: str) -> None:
    import asyncpg  # noqa: PLC0415 - a quarter second that the others do not need

    connection = await asyncpg.connect(setting(name, "DATABASE_URL"))
    await connection.execute(f"create schema if not exists {name}")
    await connection.close()


def serve(name: str, rest: list[str]) -> None:
    told = name in {"sandbox", "tinyllm"}
    listen = f"127.0.0.1:{rest[3]}" if told else setting(name, "LISTEN")
    server = UnixServer(listen[5:]) if listen.startswith("unix:") else tcp(listen)

    def leave(*_: object) -> None:
        note(f"stopped {name}")
        os._exit(0)

    signal.signal(signal.SIGTERM, leave)
    say(f"{name} serves")
    server.serve_forever()


class Handler(BaseHTTPRequestHandler):
    def do_GET(self) -> None:
        self.send_response(200)
        self.end_headers()
        self.wfile.write(b'{"data": [{"id": "fake-model"}, {"id": "smollm2-135m"}]}')

    def log_message(self, format: str, *args: Any) -> None:  # noqa: A002 - the base class names it
        pass

    def address_string(self) -> str:
        return "somewhere"


class UnixServer(HTTPServer):
    address_family = 1  # AF_UNIX

    def __init__(self, path: str) -> None:
        Path(path).unlink(missing_ok=True)
        super().__init__(path, Handler)  # pyright: ignore[reportArgumentType]

    def server_bind(self) -> None:
        self.socket.bind(self.server_address)


def tcp(listen: str) -> HTTPServer:
    address = urlsplit(f"//{listen}")
    assert address.hostname
    assert address.port
    return HTTPServer((address.hostname, address.port), Handler)


def setting(name: str, key: str) -> str:
    return os.environ[f"AIBRIDGE_{name.upper()}_{key}"]


def say(line: str) -> None:
    sys.stdout.write(f"{line}\n")
    sys.stdout.flush()


def note(event: str) -> None:
    with (HOME / "events").open("a", encoding="utf-8") as events:
        events.write(f"{event}\n")


main()
