"""Clients that leave in every way: row 22 of the acceptance table. Charged exactly, the vendor let go, memory flat."""

import json
import socket
import struct
import time
from collections.abc import Callable
from typing import Any
from urllib.parse import urlsplit

import msgspec
import pytest

from tests.fixtures.asking import Ask, ask
from tests.fixtures.trouble import CLAUDE, Trouble, scripted
from tests.soak.watch import MIB, pss_bytes

LET_GO_S = 5.0
"""How long the vendor's end is waited for after the client left."""
SPARE_S = 3.0
STALLED_S = 30.0
"""How long a client may take nothing."""
GROWTH_MIB_MAX = 24.0
STREAM_TOKENS = 90_000
"""Some 20 MiB of events: more than every buffer on the way holds, so that only back pressure keeps it out of memory."""


def half_close(client: socket.socket) -> None:
    client.shutdown(socket.SHUT_WR)


def reset(client: socket.socket) -> None:
    client.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
    client.close()


def close(client: socket.socket) -> None:
    client.close()


WAYS: dict[str, Callable[[socket.socket], None]] = {
    "a close": close,
    "a half-close": half_close,
    "a reset": reset,
}


def send(trouble: Trouble, asked: Ask, receive_bytes: int | None = None) -> socket.socket:
    """A request on a socket of its own; nothing is read yet."""
    parts = urlsplit(trouble.base_url)
    assert parts.hostname is not None, "the product has an address"
    client = socket.socket()
    if receive_bytes is not None:
        client.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, receive_bytes)
    client.settimeout(30)
    client.connect((parts.hostname, parts.port or 80))
    head = [f"POST {asked.path} HTTP/1.1", f"host: {parts.hostname}"]
    head += [f"{name}: {value}" for name, value in asked.headers.items()]
    head += [f"content-length: {len(asked.body)}", "", ""]
    client.sendall("\r\n".join(head).encode() + asked.body)
    return client


def read_until(client: socket.socket, mark: bytes, times: int) -> bytes:
    """What came until the mark stood there so often."""
    came = b""
    while came.count(mark) < times:
        data = client.recv(1024)
        assert data, came
        came += data
    return came


def request_id_of(came: bytes) -> str:
    head = came.partition(b"\r\n\r\n")[0].decode().lower()
    return head.partition("x-aibridge-request-id: ")[2].partition("\r\n")[0]


def ended(trouble: Trouble, request_id: str, within_s: float) -> dict[str, Any]:
    """The vendor's own word on a call, once it is over for the vendor."""
    give_up = time.monotonic() + within_s
    while time.monotonic() < give_up:
        if calls := trouble.truth(request_id):
            return calls[-1]
        time.sleep(0.05)
    raise AssertionError(f"the vendor is still busy with {request_id} after {within_s:g} s")


@pytest.mark.parametrize("how", WAYS)
@pytest.mark.parametrize("events", [1, 7])
class TestAClientThatGoesMidStream:
    def test_is_charged_what_a_quick_vendor_counted(
        self, events: int, how: str, trouble: Trouble
    ) -> None:
        text = scripted("Long.", tokens=80, delay_ms=10)
        client = send(trouble, ask("messages", CLAUDE, text, stream=True, key=trouble.key))
        request_id = request_id_of(read_until(client, b"content_block_delta", events))

        WAYS[how](client)

        call = ended(trouble, request_id, LET_GO_S + SPARE_S)
        row = trouble.settled(request_id)
        client.close()
        assert (call["outcome"], row.usage_source) == ("completed", "final")
        assert row.usage.output == call["usage"]["output"]
        assert row.usage.input == call["usage"]["input"]

    def test_does_not_keep_a_slow_vendor_busy(
        self, events: int, how: str, trouble: Trouble
    ) -> None:
        text = scripted("Slow.", tokens=190, delay_ms=120)
        client = send(trouble, ask("messages", CLAUDE, text, stream=True, key=trouble.key))
        request_id = request_id_of(read_until(client, b"content_block_delta", events))
        left_at_s = time.monotonic()

        WAYS[how](client)

        call = ended(trouble, request_id, LET_GO_S + SPARE_S)
        assert time.monotonic() - left_at_s >= LET_GO_S - 1
        row = trouble.settled(request_id)
        client.close()
        assert (call["outcome"], row.outcome) == ("client_gone", "client_gone")
        assert abs(row.usage.output - call["usage"]["output"]) <= max(3, 2 / 0.120)


class TestAClientThatNeverReads:
    def test_costs_no_memory_and_is_left_after_half_a_minute(self, trouble: Trouble) -> None:
        pids = {name: trouble.pids[name] for name in ("router", "gateway")}
        before = {name: pss_bytes(pid) for name, pid in pids.items()}
        text = scripted("Read me.", tokens=STREAM_TOKENS)
        asked = ask("chat", "claude-sonnet-5-5", text, stream=True, key=trouble.key)
        body = json.loads(asked.body) | {"max_tokens": STREAM_TOKENS}
        asked = msgspec.structs.replace(asked, body=json.dumps(body).encode())
        began_s = time.monotonic()

        client = send(trouble, asked, receive_bytes=4096)
        request_id = request_id_of(read_until(client, b"\r\n\r\n", 1))

        call = ended(trouble, request_id, STALLED_S + 40)
        took_s = time.monotonic() - began_s
        grown = {name: (pss_bytes(pid) - before[name]) / MIB for name, pid in pids.items()}
        row = trouble.settled(request_id)
        client.close()
        assert call["outcome"] == "client_gone"
        assert took_s >= STALLED_S
        assert max(grown.values()) < GROWTH_MIB_MAX, grown
        assert row.outcome == "client_gone"
        assert 0 < row.usage.output <= call["usage"]["output"] + 10
