"""From empty servers to a database with a catalogue, an administrator and a funded demo account."""

import contextlib
from typing import TypeVar

import asyncpg
import msgspec
from msgspec import Struct

from aibridge_devstack.failure import StartFailed
from aibridge_devstack.prepared import Prepared, fingerprint, keep_prepared, read_prepared
from aibridge_devstack.progress import Progress
from aibridge_devstack.service import Job
from aibridge_devstack.stack import Stack
from aibridge_devstack.supervisor import Supervisor
from aibridge_devstack.together import together

S = TypeVar("S", bound=Struct)
SCHEMAS = ["auth", "billing", "router"]


class _SeededAuth(Struct, frozen=True, kw_only=True):
    demo_account_id: str
    demo_key: str


class _SeededBilling(Struct, frozen=True, kw_only=True):
    demo_balance_tokens: str


async def prepare(supervisor: Supervisor, stack: Stack, progress: Progress) -> Prepared:
    """Migrate and seed, unless exactly this was done before and the schemas are still there."""
    kept = stack.home.root / "prepared.json"
    jobs = [stack.migrate(schema) for schema in SCHEMAS]
    jobs += [stack.seed_auth(), stack.seed_router(), stack.seed_billing("")]
    wanted = fingerprint(jobs, [stack.catalog], stack.key_variables)
    before = read_prepared(kept)
    if before is not None and before.fingerprint == wanted and await _has_schemas(stack):
        return before
    kept.unlink(missing_ok=True)
    seeding = _Seeding(supervisor, stack)
    async with progress.step("schemas, catalogue, demo account"):
        await together(seeding.router(), seeding.accounts())
    prepared = Prepared(
        fingerprint=wanted,
        demo_account_id=seeding.demo_account_id,
        demo_balance_tokens=seeding.demo_balance_tokens,
    )
    keep_prepared(kept, prepared)
    return prepared


async def new_demo_key(supervisor: Supervisor, stack: Stack) -> str:
    """The last line the auth service prints."""
    output = await supervisor.run(stack.new_key())
    key = output.splitlines()[-1].strip() if output else ""
    if not key.startswith("ab-"):
        raise StartFailed(f"aibridge-auth new-key printed no key: {output}")
    return key


class _Seeding:
    """As much at the same time as the order allows: billing's seed needs auth's demo account."""

    def __init__(self, supervisor: Supervisor, stack: Stack) -> None:
        self._supervisor = supervisor
        self._stack = stack
        self.demo_account_id = ""
        self.demo_balance_tokens = ""

    async def router(self) -> None:
        await self._supervisor.run(self._stack.migrate("router"))
        await self._supervisor.run(self._stack.seed_router())

    async def accounts(self) -> None:
        await together(self._auth(), self._supervisor.run(self._stack.migrate("billing")))
        job = self._stack.seed_billing(self.demo_account_id)
        seeded = _answer(job, await self._supervisor.run(job), _SeededBilling)
        self.demo_balance_tokens = seeded.demo_balance_tokens

    async def _auth(self) -> None:
        await self._supervisor.run(self._stack.migrate("auth"))
        job = self._stack.seed_auth()
        self.demo_account_id = _answer(
            job, await self._supervisor.run(job), _SeededAuth
        ).demo_account_id


def _answer(job: Job, output: str, kind: type[S]) -> S:
    """The last line that is one; logs may come before and after it."""
    for line in reversed(output.splitlines()):
        with contextlib.suppress(msgspec.MsgspecError):
            return msgspec.json.decode(line, type=kind, strict=False)
    raise StartFailed(f"{job.name} did not answer as agreed. It said:\n{output}")


async def _has_schemas(stack: Stack) -> bool:
    connection = await asyncpg.connect(stack.database_url())
    try:
        found = await connection.fetchval(
            "select count(*) from pg_namespace where nspname = any($1)", SCHEMAS
        )
    finally:
        await connection.close()
    return found == len(SCHEMAS)
