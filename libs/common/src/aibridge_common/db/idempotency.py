"""A creating call that is sent again changes nothing and is answered as the first was (docs/guide/internal-teams.md).

Each service's schema has the table

    CREATE TABLE idempotent_call (
      caller      text        NOT NULL,
      key         bytea       NOT NULL,           -- SHA-256: what a caller puts into its keys is its own business
      operation   text        NOT NULL,
      fingerprint bytea       NOT NULL,           -- SHA-256 of path and body
      answer      bytea,
      created_at  timestamptz NOT NULL DEFAULT now(),
      PRIMARY KEY (caller, key)
    );
    CREATE INDEX idempotent_call_age ON idempotent_call (created_at);

and the row is written in the transaction of what the call creates: either both are there or neither.
"""

import hashlib
from collections.abc import Awaitable, Callable
from typing import TypeVar

import anyio
import msgspec
from msgspec import Struct
from sqlalchemy import text

from aibridge_common.db.engine import Database, Transaction, transaction
from aibridge_common.errors import Conflict

A = TypeVar("A", bound=Struct)

KEPT_S = 24 * 3600
FORGET_EVERY_S = 600.0
FORGOTTEN_AT_ONCE = 1000


class IdempotentCall(Struct, frozen=True, kw_only=True):
    """Who calls what, under the caller's own `key`; `content` is what must be the same the second time."""

    caller: str
    key: str
    operation: str
    content: bytes


class Vault:
    """How an answer is kept. An answer with a secret in it needs one that seals."""

    def close(self, answer: bytes, call: IdempotentCall) -> bytes:
        """For the table."""
        del call
        return answer

    def open(self, kept: bytes, call: IdempotentCall) -> bytes:
        """From the table."""
        del call
        return kept


PLAIN = Vault()


async def once(
    tx: Transaction,
    call: IdempotentCall | None,
    kind: type[A],
    create: Callable[[], Awaitable[A]],
    vault: Vault = PLAIN,
) -> A:
    """What `create` answers, or what it answered when the same call came before; without a `call` it just creates.

    Two that come at the same time wait for each other at the table's key. Raises `Conflict` when the key was used for
    another request.
    """
    if call is None:
        return await create()
    key = hashlib.sha256(call.key.encode()).digest()
    fingerprint = hashlib.sha256(call.content).digest()
    row = {"caller": call.caller, "key": key}
    first = await tx.execute(
        text(
            "INSERT INTO idempotent_call (caller, key, operation, fingerprint)"
            " VALUES (:caller, :key, :operation, :fingerprint) ON CONFLICT DO NOTHING RETURNING 1"
        ),
        row | {"operation": call.operation, "fingerprint": fingerprint},
    )
    if first.one_or_none() is not None:
        answer = await create()
        await tx.execute(
            text(
                "UPDATE idempotent_call SET answer = :answer WHERE caller = :caller AND key = :key"
            ),
            row | {"answer": vault.close(msgspec.json.encode(answer), call)},
        )
        return answer
    found = (
        await tx.execute(
            text(
                "SELECT operation, fingerprint, answer FROM idempotent_call"
                " WHERE caller = :caller AND key = :key"
            ),
            row,
        )
    ).one_or_none()
    if found is None:  # a day old, and forgotten this very moment
        raise Conflict("this key was just forgotten; send the request again", retry_after_s=1)
    if (found.operation, bytes(found.fingerprint)) != (call.operation, fingerprint):
        raise Conflict("this key was used for another request", param="Idempotency-Key")
    return msgspec.json.decode(vault.open(bytes(found.answer), call), type=kind)


async def run_forgetting(database: Database) -> None:
    """Forget calls after a day, for ever."""
    while True:
        async with transaction(database) as tx:
            gone = await tx.execute(
                text(
                    "DELETE FROM idempotent_call WHERE (caller, key) IN (SELECT caller, key FROM idempotent_call"
                    " WHERE created_at < now() - make_interval(secs => :kept) LIMIT :most FOR UPDATE SKIP LOCKED)"
                    " RETURNING 1"
                ),
                {"kept": KEPT_S, "most": FORGOTTEN_AT_ONCE},
            )
            full = len(gone.all()) == FORGOTTEN_AT_ONCE
        await anyio.sleep(0 if full else FORGET_EVERY_S)
