"""Loopback ports, drawn from below the range the system gives to outgoing connections."""

import secrets
import socket

LOOPBACK = "127.0.0.1"
_FIRST, _LAST = 20_000, 31_999  # Linux hands out 32768 and up, macOS 49152 and up
_ATTEMPTS_MAX = 200


def is_free(port: int) -> bool:
    """Whether a server could listen there now; a socket in TIME_WAIT does not count as taken."""
    with socket.socket() as probe:
        if probe.connect_ex((LOOPBACK, port)) == 0:
            return False
    with socket.socket() as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind((LOOPBACK, port))
        except OSError:
            return False
    return True


def free_ports(count: int) -> list[int]:
    """Different free ports. Nothing reserves them: start the servers soon."""
    chosen: list[int] = []
    for _ in range(_ATTEMPTS_MAX):
        port = _FIRST + secrets.randbelow(_LAST - _FIRST + 1)
        if port not in chosen and is_free(port):
            chosen.append(port)
        if len(chosen) == count:
            return chosen
    raise OSError(f"found only {len(chosen)} of {count} free ports")
