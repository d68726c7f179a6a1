"""The hot-path HTTP client: pooled keep-alive HTTP/1.1 over TCP, TLS or a Unix socket. See README.md."""

from aibridge_common.transport.errors import (
    BodyCut,
    ConnectFailed,
    ConnectionDropped,
    ConnectTimeout,
    HeadersTimeout,
    IdleTimeout,
    ProtocolViolation,
    ProxyFailed,
    ProxyTimeout,
    Sent,
    TransportError,
)
from aibridge_common.transport.origin import Origin
from aibridge_common.transport.pool import Pool, Timers
from aibridge_common.transport.response import Response

__all__ = [
    "BodyCut",
    "ConnectFailed",
    "ConnectTimeout",
    "ConnectionDropped",
    "HeadersTimeout",
    "IdleTimeout",
    "Origin",
    "Pool",
    "ProtocolViolation",
    "ProxyFailed",
    "ProxyTimeout",
    "Response",
    "Sent",
    "Timers",
    "TransportError",
]
