"""Ways to ask a server whether it is ready. None raises for a server that is not there."""

import asyncpg
from msgspec import Struct

from aibridge_devstack.http_get import http_get

_CONNECT_TIMEOUT_S = 5


class HttpProbe(Struct, frozen=True, kw_only=True):
    """Ready when `GET path` answers 200. `origin` is http://host:port or unix:/path."""

    origin: str
    path: str

    async def answers(self) -> bool:
        """Ask once."""
        answer = await http_get(self.origin, self.path)
        return answer is not None and answer.status == 200


class PostgresProbe(Struct, frozen=True, kw_only=True):
    """Ready when a query answers; while PostgreSQL starts or recovers it refuses connections."""

    url: str

    async def answers(self) -> bool:
        """Ask once."""
        try:
            connection = await asyncpg.connect(self.url, timeout=_CONNECT_TIMEOUT_S)
        except (OSError, asyncpg.PostgresError):  # TimeoutError is an OSError
            return False
        try:
            return await connection.fetchval("select 1") == 1
        finally:
            await connection.close()
