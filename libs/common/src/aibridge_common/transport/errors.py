"""What can go wrong on the wire, and whether the upstream may have started to work.

TransportError
├─ ConnectFailed       not sent: name, TCP or TLS; or the proxy works and cannot reach the peer. `sent` is MAYBE where
│  │                   it was to replace a kept-alive connection that dropped
│  ├─ ConnectTimeout   never sent: no connection in time
│  └─ ProxyFailed      never sent: the proxy itself is at fault, whoever is behind it
│     └─ ProxyTimeout  the same, and a ConnectTimeout: the proxy did not take our question in time
├─ ConnectionDropped   the peer closed before a byte of answer came
├─ HeadersTimeout      no answer in time
├─ IdleTimeout         the answer started, then nothing came in time
├─ BodyCut             the answer ended before its announced end
└─ ProtocolViolation   what came is not HTTP, or breaks a limit
"""

from enum import Enum


class Sent(Enum):
    """May the upstream have acted on the request? Decides whether trying again can cost twice."""

    NO = "no"
    MAYBE = "maybe"


class TransportError(Exception):
    """Base of all wire errors."""

    def __init__(self, message: str, *, sent: Sent) -> None:
        super().__init__(message)
        self.sent = sent


class ConnectFailed(TransportError):
    """No usable connection came about; nothing was sent on it."""

    def __init__(self, message: str) -> None:
        super().__init__(message, sent=Sent.NO)


class ConnectTimeout(ConnectFailed):
    """No usable connection came about in time; nothing was sent."""


class ProxyFailed(ConnectFailed):
    """The proxy cannot be reached, talks nonsense, or does not let us through."""


class ProxyTimeout(ProxyFailed, ConnectTimeout):
    """The proxy was not reached, or did not let us sign in, in time."""


class ConnectionDropped(TransportError):
    """The peer closed the connection before a byte of answer came."""


class HeadersTimeout(TransportError):
    """The answer did not begin in time."""


class IdleTimeout(TransportError):
    """The answer began and then fell silent."""


class BodyCut(TransportError):
    """The connection ended inside the answer."""


class ProtocolViolation(TransportError):
    """The peer does not speak HTTP/1.1 as agreed, or exceeds a limit."""
