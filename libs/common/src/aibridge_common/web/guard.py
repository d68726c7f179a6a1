"""Which service calls: a bearer token per caller, compared in constant time, denied by default."""

import hashlib
from collections.abc import Mapping
from typing import Any

from litestar.connection import ASGIConnection
from litestar.exceptions import NotAuthorizedException
from litestar.handlers import BaseRouteHandler

from aibridge_common.errors import Forbidden

Operations = frozenset[str]
"""Operation ids, as the OpenAPI documents have them."""


class ServiceGuard:
    """A Litestar guard that lets known services in.

    Tokens are looked up by digest, so neither a comparison nor a dictionary leaks how much of a token was right.
    """

    def __init__(
        self, tokens: dict[str, str], confined: Mapping[str, Operations] | None = None
    ) -> None:
        """`confined` callers may do only these operations; whoever is not named there may do everything."""
        self._confined = dict(confined or {})
        self._callers = {_digest(token.encode()): name for token, name in tokens.items()}

    def caller(self, authorization: bytes | None) -> str | None:
        """The name behind an `Authorization` header, or None."""
        if authorization is None or not authorization.startswith(b"Bearer "):
            return None
        return self._callers.get(_digest(authorization[7:]))

    def __call__(
        self, connection: ASGIConnection[Any, Any, Any, Any], handler: BaseRouteHandler
    ) -> None:
        """Refuse with 401 whoever is not known, with 403 what a caller has no business with."""
        header = connection.headers.get("authorization")
        name = self.caller(header.encode() if header else None)
        if name is None:
            raise NotAuthorizedException("a service token is needed")
        operation: str | None = getattr(handler, "operation_id", None)
        allowed = self._confined.get(name)
        if allowed is not None and operation is not None and operation not in allowed:
            raise Forbidden(f"the service token of {name} is not for {operation}")


def _digest(token: bytes) -> bytes:
    return hashlib.sha256(token).digest()
