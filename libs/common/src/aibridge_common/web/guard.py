"""Which service calls: a bearer token per caller, compared in constant time, denied by default."""

import hashlib
from typing import Any

from litestar.connection import ASGIConnection
from litestar.exceptions import NotAuthorizedException
from litestar.handlers import BaseRouteHandler


class ServiceGuard:
    """A Litestar guard that lets known services in.

    Tokens are looked up by digest, so neither a comparison nor a dictionary leaks how much of a token was right.
    """

    def __init__(self, tokens: dict[str, str]) -> None:
        self._callers = {_digest(token.encode()): name for token, name in tokens.items()}

    def caller(self, authorization: bytes | None) -> str | None:
        """The name behind an `Authorization` header, or None."""
        if authorization is None or not authorization.startswith(b"Bearer "):
            return None
        return self._callers.get(_digest(authorization[7:]))

    def __call__(
        self, connection: ASGIConnection[Any, Any, Any, Any], handler: BaseRouteHandler
    ) -> None:
        """Refuse with 401 whoever is not known."""
        del handler
        header = connection.headers.get("authorization")
        if self.caller(header.encode() if header else None) is None:
            raise NotAuthorizedException("a service token is needed")


def _digest(token: bytes) -> bytes:
    return hashlib.sha256(token).digest()
