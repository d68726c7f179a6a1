"""The fixtures give real servers."""

import asyncpg
import nats
import pytest

pytestmark = pytest.mark.anyio


async def test_database_is_real_and_empty(database: str) -> None:
    """A module gets a database of its own with nothing in it."""
    connection = await asyncpg.connect(database)
    try:
        tables = await connection.fetchval(
            "select count(*) from information_schema.tables where table_schema = 'public'"
        )
    finally:
        await connection.close()

    assert tables == 0


async def test_jetstream_keeps_messages(nats_url: str) -> None:
    """A published message is acknowledged by a stream on disk."""
    connection = await nats.connect(nats_url)
    try:
        stream = connection.jetstream()
        await stream.add_stream(name="devstack_test", subjects=["devstack.test"])
        ack = await stream.publish("devstack.test", b"kept")
    finally:
        await connection.close()

    assert ack.seq == 1
