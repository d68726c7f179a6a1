"""Liveness says the process runs; readiness says it can serve now."""

from collections.abc import Awaitable, Callable, Mapping

from litestar import Response, get
from litestar.handlers import HTTPRouteHandler

Check = Callable[[], Awaitable[bool]]


def health_routes(checks: Mapping[str, Check]) -> list[HTTPRouteHandler]:
    """`/livez` and `/readyz`; a failing check is named in the answer and makes it 503."""

    @get("/livez", operation_id="Livez", include_in_schema=False)
    async def livez() -> dict[str, str]:
        return {"status": "ok"}

    @get("/readyz", operation_id="Readyz", include_in_schema=False)
    async def readyz() -> Response[dict[str, object]]:
        results = {name: await check() for name, check in checks.items()}
        ready = all(results.values())
        return Response(
            {"status": "ok" if ready else "unavailable", "checks": results},
            status_code=200 if ready else 503,
        )

    return [livez, readyz]
