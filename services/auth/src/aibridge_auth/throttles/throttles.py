"""Counts tries in the database, so that every replica counts the same."""

import hashlib
from typing import Any

import anyio
from litestar import Request
from litestar.types import Message, Scope
from msgspec import Struct
from sqlalchemy import text

from aibridge_auth.throttles.policies import Policy
from aibridge_common.clock import Clock
from aibridge_common.db.engine import Database, transaction
from aibridge_common.errors import RateLimited

KEPT_S = 7200
FORGET_EVERY_S = 600.0
_STATE = "rate_limit"


class Standing(Struct, frozen=True):
    """How much of a policy is left, and when it begins anew."""

    policy: Policy
    remaining: int
    reset_s: int


class Throttles:
    """Takes tries; those of one request go into its answer's headers."""

    def __init__(self, database: Database, clock: Clock) -> None:
        self._database = database
        self._clock = clock

    async def take(self, request: Request[Any, Any, Any], policy: Policy, subject: str) -> None:
        """Count one try, right or wrong. Raises `RateLimited`."""
        now_s = int(self._clock.now().timestamp())
        window, passed_s = divmod(now_s, policy.window_s)
        async with transaction(self._database) as tx:
            row = await tx.execute(
                text(
                    'INSERT INTO throttle (policy, subject, "window", taken) VALUES (:policy, :subject, :window, 1)'
                    ' ON CONFLICT (policy, subject, "window") DO UPDATE'
                    " SET taken = least(throttle.taken + 1, 1000000) RETURNING taken"
                ),
                {
                    "policy": policy.name,
                    "subject": hashlib.sha256(subject.encode()).digest(),
                    "window": window,
                },
            )
            taken = row.scalar_one()
        standing = Standing(policy, max(0, policy.limit - taken), policy.window_s - passed_s)
        narrowest: Standing | None = request.scope["state"].get(_STATE)
        if narrowest is None or standing.remaining <= narrowest.remaining:
            request.scope["state"][_STATE] = standing
        if taken > policy.limit:
            raise RateLimited(
                "too many tries; wait before the next", retry_after_s=standing.reset_s
            )

    async def run_forgetting(self) -> None:
        """Delete windows that are over, for ever."""
        while True:
            now_s = int(self._clock.now().timestamp())
            async with transaction(self._database) as tx:
                await tx.execute(
                    text(
                        'DELETE FROM throttle WHERE ("window" + 1) * CASE WHEN policy IN'
                        " ('login-address', 'login-ip', 'proof-user') THEN 900 ELSE 3600 END < :before"
                    ),
                    {"before": now_s - KEPT_S},
                )
            await anyio.sleep(FORGET_EVERY_S)


async def tell_standing(message: Message, scope: Scope) -> None:
    """`RateLimit` and `RateLimit-Policy` (draft-ietf-httpapi-ratelimit-headers) of the policy with the least left."""
    standing: Standing | None = scope.get("state", {}).get(_STATE)
    if message["type"] != "http.response.start" or standing is None:
        return
    name = standing.policy.name
    message["headers"] = [
        *message["headers"],
        (
            b"ratelimit-policy",
            f'"{name}";q={standing.policy.limit};w={standing.policy.window_s}'.encode(),
        ),
        (b"ratelimit", f'"{name}";r={standing.remaining};t={standing.reset_s}'.encode()),
    ]
