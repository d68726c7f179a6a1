"""Who calls an API, by the name of its service token: that name goes into the audit."""

from collections.abc import Callable
from typing import Any

from litestar import Request

from aibridge_common.web.guard import ServiceGuard


def calling(guard: ServiceGuard) -> Callable[[Request[Any, Any, Any]], str]:
    """A dependency that gives the caller's name behind `guard`."""

    def caller(request: Request[Any, Any, Any]) -> str:
        name = guard.caller(request.headers["authorization"].encode())
        assert name is not None, "the guard let nobody else in"
        return name

    return caller
