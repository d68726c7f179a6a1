"""The header `Idempotency-Key` of creating calls (draft-ietf-httpapi-idempotency-key-header)."""

import re
from collections.abc import Callable, Coroutine
from typing import Any

from litestar import Request

from aibridge_common.db.idempotency import IdempotentCall
from aibridge_common.errors import InvalidRequest
from aibridge_common.web.guard import ServiceGuard

_KEY = re.compile(r"[\x21-\x7e]{1,255}")
_QUOTED = re.compile(r'"([^"]*)"')


def idempotent(
    guard: ServiceGuard,
) -> Callable[[Request[Any, Any, Any]], Coroutine[Any, Any, IdempotentCall | None]]:
    """A dependency: the call as the table knows it, or None when no key came. Raises `InvalidRequest`.

    The draft has the key as a quoted string; without the quotes it is the same key.
    """

    async def call(request: Request[Any, Any, Any]) -> IdempotentCall | None:
        given = request.headers.getall("idempotency-key", [])
        if not given:
            return None
        quoted = _QUOTED.fullmatch(given[0].strip())
        key = quoted[1] if quoted else given[0].strip()
        if len(given) > 1 or _KEY.fullmatch(key) is None:
            raise InvalidRequest(
                "one key of 1 to 255 visible ASCII characters is taken", param="Idempotency-Key"
            )
        caller = guard.caller(request.headers["authorization"].encode())
        assert caller is not None, "the guard let nobody else in"
        path = request.scope["path"]
        return IdempotentCall(
            caller=caller,
            key=key,
            operation=f"{request.method} {path}",
            content=await request.body(),
        )

    return call
