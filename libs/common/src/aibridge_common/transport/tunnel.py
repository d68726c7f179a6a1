"""Open a socket to an origin through a proxy: HTTP CONNECT (RFC 9110 §9.3.6) or SOCKS5 (RFC 1928, 1929)."""

import asyncio
import base64
import socket
from contextlib import ExitStack

from aibridge_common.proxy import Proxy
from aibridge_common.transport.errors import (
    ConnectFailed,
    ConnectTimeout,
    ProxyFailed,
    ProxyTimeout,
)
from aibridge_common.transport.origin import Origin

_ANSWER_BYTES_MAX = 8192
_SOCKS_VERSION, _NO_AUTH, _PASSWORD_AUTH, _CONNECT, _DOMAIN = 5, 0, 2, 1, 3
_SOCKS_REASONS = {
    1: "general failure",
    2: "not allowed by its rules",
    3: "network unreachable",
    4: "host unreachable",
    5: "connection refused",
    6: "time to live expired",
    7: "command not supported",
    8: "address type not supported",
}
_TARGET_STATUSES = frozenset({b"502", b"503", b"504"})
"""A proxy that answers so works: it says that it cannot reach the target."""
_TARGET_REPLIES = frozenset({3, 4, 5, 6})
"""The same of SOCKS5 (RFC 1928 §6)."""


async def open_tunnel(proxy: Proxy, origin: Origin, deadline_s: float) -> socket.socket:
    """A connected socket whose other end is `origin`; `deadline_s` is the loop's time.

    The name is resolved by the proxy. Raises `ProxyFailed` or `ProxyTimeout` where the proxy is at fault, plain
    `ConnectFailed` or `ConnectTimeout` where it took our question and cannot reach `origin`, in its own words.
    """
    asked = False
    with ExitStack() as undo:
        try:
            async with asyncio.timeout_at(deadline_s):
                sock = await _socket_to(proxy)
                undo.callback(sock.close)
                if proxy.kind == "socks5":
                    await _sign_in(sock, proxy)
                asked = True
                ask = _http_connect if proxy.kind == "http" else _socks5_connect
                await ask(sock, proxy, origin)
        except TimeoutError:
            if asked:
                raise ConnectTimeout("the proxy did not reach the peer in time") from None
            raise ProxyTimeout("the proxy was not reached in time") from None
        except OSError as error:
            raise ProxyFailed(f"the proxy cannot be used: {error}") from error
        undo.pop_all()
        return sock


async def _socket_to(proxy: Proxy) -> socket.socket:
    loop = asyncio.get_running_loop()
    address = (await loop.getaddrinfo(proxy.host, proxy.port, type=socket.SOCK_STREAM))[0]
    sock = socket.socket(address[0], address[1], address[2])
    try:
        sock.setblocking(False)
        sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        await loop.sock_connect(sock, address[4])
    except BaseException:
        sock.close()
        raise
    return sock


async def _http_connect(sock: socket.socket, proxy: Proxy, origin: Origin) -> None:
    loop = asyncio.get_running_loop()
    lines = [f"CONNECT {origin.authority} HTTP/1.1", f"Host: {origin.authority}"]
    if proxy.username is not None:
        pair = f"{proxy.username}:{proxy.password or ''}".encode()
        lines.append("Proxy-Authorization: Basic " + base64.b64encode(pair).decode())
    await loop.sock_sendall(sock, ("\r\n".join(lines) + "\r\n\r\n").encode())
    answer = b""
    while not answer.endswith(b"\r\n\r\n"):  # one byte at a time: what follows belongs to TLS
        byte = await loop.sock_recv(sock, 1)
        if not byte:
            raise ProxyFailed("the proxy closed the connection")
        answer += byte
        if len(answer) > _ANSWER_BYTES_MAX:
            raise ProxyFailed("the proxy's answer is too long")
    line = answer.split(b"\r\n", 1)[0]
    status = line[9:12] if line.startswith(b"HTTP/1.") else b""
    if status != b"200":
        kind = ConnectFailed if status in _TARGET_STATUSES else ProxyFailed
        raise kind(f"the proxy refused: {line.decode('latin-1')}")


async def _sign_in(sock: socket.socket, proxy: Proxy) -> None:
    loop = asyncio.get_running_loop()
    method = _NO_AUTH if proxy.username is None else _PASSWORD_AUTH
    await loop.sock_sendall(sock, bytes([_SOCKS_VERSION, 1, method]))
    if await _receive(sock, 2) != bytes([_SOCKS_VERSION, method]):
        raise ProxyFailed("the proxy does not take our way to sign in")
    if proxy.username is not None:
        user, password = proxy.username.encode(), (proxy.password or "").encode()
        await loop.sock_sendall(
            sock, bytes([1, len(user)]) + user + bytes([len(password)]) + password
        )
        if (await _receive(sock, 2))[1] != 0:
            raise ProxyFailed("the proxy refused the user name or password")


async def _socks5_connect(sock: socket.socket, _proxy: Proxy, origin: Origin) -> None:
    loop = asyncio.get_running_loop()
    host = origin.host.encode("idna")
    request = bytes([_SOCKS_VERSION, _CONNECT, 0, _DOMAIN, len(host)]) + host
    await loop.sock_sendall(sock, request + origin.port.to_bytes(2, "big"))
    head = await _receive(sock, 4)
    if head[1] != 0:
        kind = ConnectFailed if head[1] in _TARGET_REPLIES else ProxyFailed
        raise kind(f"the proxy refused: {_SOCKS_REASONS.get(head[1], head[1])}")
    length = {1: 4, 4: 16}.get(head[3]) or (await _receive(sock, 1))[0]
    await _receive(sock, length + 2)


async def _receive(sock: socket.socket, count: int) -> bytes:
    loop = asyncio.get_running_loop()
    data = b""
    while len(data) < count:
        part = await loop.sock_recv(sock, count - len(data))
        if not part:
            raise ProxyFailed("the proxy closed the connection")
        data += part
    return data
