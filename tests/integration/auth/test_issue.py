"""A key that is brought along, as the seed brings one, keeps its id."""

import pytest

from aibridge_auth.api_keys.service import ApiKeys
from aibridge_auth.app import SCHEMA
from aibridge_auth.changes.notices import Notices
from aibridge_auth.crypto.key_format import new_key
from aibridge_auth.crypto.pepper import KeyHasher
from aibridge_auth.users.store import ensure_user
from aibridge_common.clock import SystemClock
from aibridge_common.db.engine import open_database, transaction
from aibridge_common.settings import Secret
from tests.fixtures.services import PEPPER


@pytest.mark.anyio
async def test_the_same_key_again_has_the_same_id(auth_url: str) -> None:
    database = open_database(auth_url, SCHEMA)
    try:
        keys = ApiKeys(database, KeyHasher(Secret(PEPPER)), Notices(bus=None), SystemClock())
        async with transaction(database) as tx:
            account = await ensure_user(
                tx, email="who@example.com", password_hash="!", role="customer"
            )
        key = new_key()

        first, second = await keys.issue(account, "a", key), await keys.issue(account, "b", key)

        assert first == second
        [summary] = await keys.list(account)
        assert (summary.key_id, summary.name) == (first.key_id, "b")
    finally:
        await database.dispose()
