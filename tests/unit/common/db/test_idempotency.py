"""The same creating call again is answered as the first was, and creates nothing."""

import asyncio
from collections.abc import AsyncIterator

import pytest
from msgspec import Struct
from sqlalchemy import text

from aibridge_common.db.engine import Database, open_database, transaction
from aibridge_common.db.idempotency import IdempotentCall, Vault, once
from aibridge_common.errors import Conflict

pytestmark = pytest.mark.anyio

TABLE = """
CREATE TABLE IF NOT EXISTS idempotent_call (
  caller text NOT NULL, key bytea NOT NULL, operation text NOT NULL, fingerprint bytea NOT NULL, answer bytea,
  created_at timestamptz NOT NULL DEFAULT now(), PRIMARY KEY (caller, key))
"""


class Made(Struct):
    number: int


class Reversing(Vault):
    def close(self, answer: bytes, call: IdempotentCall) -> bytes:
        del call
        return answer[::-1]

    def open(self, kept: bytes, call: IdempotentCall) -> bytes:
        del call
        return kept[::-1]


@pytest.fixture
async def opened(database: str) -> AsyncIterator[Database]:
    engine = open_database(database, "public")
    async with transaction(engine) as tx:
        await tx.execute(text(TABLE))
        await tx.execute(text("TRUNCATE idempotent_call"))
    yield engine
    await engine.dispose()


class Maker:
    """Makes a new number each time it is really called."""

    def __init__(self, database: Database) -> None:
        self.database = database
        self.made = 0

    async def ask(
        self,
        key: str | None,
        content: bytes = b"",
        caller: str = "console",
        vault: Vault | None = None,
    ) -> Made:
        async def create() -> Made:
            self.made += 1
            await asyncio.sleep(0.01)
            return Made(self.made)

        call = key and IdempotentCall(
            caller=caller, key=key, operation="POST /v1/things", content=content
        )
        async with transaction(self.database) as tx:
            return await once(tx, call or None, Made, create, vault or Vault())


@pytest.fixture
def maker(opened: Database) -> Maker:
    return Maker(opened)


async def test_the_second_is_answered_as_the_first_was(maker: Maker) -> None:
    assert [await maker.ask("k"), await maker.ask("k")] == [Made(1), Made(1)]


async def test_many_at_once_create_once(maker: Maker) -> None:
    answers = await asyncio.gather(*(maker.ask("k") for _ in range(8)))

    assert answers == [Made(1)] * 8


async def test_without_a_key_each_creates(maker: Maker) -> None:
    assert [await maker.ask(None), await maker.ask(None)] == [Made(1), Made(2)]


async def test_another_callers_key_is_another_key(maker: Maker) -> None:
    assert await maker.ask("k") != await maker.ask("k", caller="support")


async def test_another_request_under_the_same_key_is_refused(maker: Maker) -> None:
    await maker.ask("k", b"one")

    with pytest.raises(Conflict) as refused:
        await maker.ask("k", b"two")
    assert refused.value.param == "Idempotency-Key"


async def test_what_failed_may_be_tried_again(maker: Maker) -> None:
    async def fail() -> Made:
        raise KeyError

    call = IdempotentCall(caller="console", key="k", operation="POST /v1/things", content=b"")
    with pytest.raises(KeyError):
        async with transaction(maker.database) as tx:
            await once(tx, call, Made, fail)

    assert await maker.ask("k") == Made(1)


async def test_an_answer_with_a_secret_is_kept_as_its_vault_wants(maker: Maker) -> None:
    vault = Reversing()

    assert [await maker.ask("k", vault=vault), await maker.ask("k", vault=vault)] == [Made(1)] * 2
    async with transaction(maker.database) as tx:
        kept = (await tx.execute(text("SELECT answer FROM idempotent_call"))).scalar_one()
    assert bytes(kept) == b'}1:"rebmun"{'
