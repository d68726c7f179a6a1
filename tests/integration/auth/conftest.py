from collections.abc import AsyncIterator
from typing import Any
from uuid import UUID

import asyncpg
import pytest

from aibridge_auth.app import SCHEMA
from aibridge_common.ids import uuid7


@pytest.fixture(scope="module")
async def table(auth_url: str) -> AsyncIterator[Any]:
    """A look into the database."""
    connection = await asyncpg.connect(auth_url, server_settings={"search_path": SCHEMA})
    yield connection
    await connection.close()


@pytest.fixture
async def account(table: Any) -> UUID:
    """A customer."""
    account_id = uuid7()
    await table.execute(
        "INSERT INTO app_user (id, account_id, email, password_hash) VALUES ($1, $2, $3, '!')",
        uuid7(),
        account_id,
        f"{account_id.hex}@customer.example",
    )
    return account_id
