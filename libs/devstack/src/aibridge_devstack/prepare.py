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
    jobs = [*stack.migrations(), stack.seed_auth(), stack.seed_router(), stack.seed_billing("")]
    wanted = fingerprint(jobs, [stack.catalog], stack.key_variables)
    before = read_prepared(kept)
    if before is not None and before.fingerprint == wanted and await _has_schemas(stack):
        return before
    kept.unlink(missing_ok=True)
    async with progress.step("migrations"):
        await together(*(supervisor.run(job) for job in stack.migrations()))
    async with progress.step("catalogue, administrator, demo account"):
        prepared = await _seed(supervisor, stack, wanted)
    keep_prepared(kept, prepared)
    return prepared


async def new_demo_key(supervisor: Supervisor, stack: Stack) -> str:
    """The last line the auth service prints."""
    output = await supervisor.run(stack.new_key())
    key = output.splitlines()[-1].strip() if output else ""
    if not key.startswith("ab-"):
        raise StartFailed(f"aibridge-auth new-key printed no key: {output}")
    return key


async def _seed(supervisor: Supervisor, stack: Stack, wanted: str) -> Prepared:
    balance: list[str] = []
    account: list[str] = []

    async def accounts() -> None:
        job = stack.seed_auth()
        auth = _answer(job, await supervisor.run(job), _SeededAuth)
        account.append(auth.demo_account_id)
        job = stack.seed_billing(auth.demo_account_id)
        billing = _answer(job, await supervisor.run(job), _SeededBilling)
        balance.append(billing.demo_balance_tokens)

    await together(accounts(), supervisor.run(stack.seed_router()))
    return Prepared(fingerprint=wanted, demo_account_id=account[0], demo_balance_tokens=balance[0])


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
