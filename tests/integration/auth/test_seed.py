"""Migrating and seeding may be repeated at every start."""

import argparse
import json
from typing import Any

import asyncpg
import pytest

from aibridge_auth import cli
from aibridge_auth.app import SCHEMA
from aibridge_auth.crypto.key_format import new_key
from aibridge_auth.crypto.password import verify_password
from tests.fixtures.services import auth_settings

PASSWORD = "correct horse battery"


class Command:
    """`aibridge-auth` with its environment, as the command line runs it."""

    def __init__(self, database_url: str, capsys: pytest.CaptureFixture[str]) -> None:
        self.settings = auth_settings(database_url, "nats://localhost:1")
        self.database_url = database_url
        self.capsys = capsys

    def migrate(self) -> str:
        cli._run(argparse.Namespace(command="migrate"), self.settings)
        return self.capsys.readouterr().out.strip()

    def seed(self, admin: str = "admin@example.com", demo: str = "demo@example.com") -> Any:
        arguments = argparse.Namespace(command="seed", admin_email=admin, demo_email=demo)
        cli._run(arguments, self.settings)
        return json.loads(self.capsys.readouterr().out)


@pytest.fixture
def command(
    database: str, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> Command:
    monkeypatch.setenv("AIBRIDGE_AUTH_ADMIN_PASSWORD", PASSWORD)
    monkeypatch.setenv("AIBRIDGE_AUTH_DEMO_KEY", new_key())
    return Command(database, capsys)


async def rows(database_url: str, table: str) -> list[Any]:
    connection = await asyncpg.connect(database_url, server_settings={"search_path": SCHEMA})
    try:
        return await connection.fetch(f"SELECT * FROM {table} ORDER BY 1")
    finally:
        await connection.close()


def test_a_second_time_changes_nothing_but_the_salt(
    command: Command, portal: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert command.migrate() == command.migrate() == "0004"
    first = command.seed()
    keys = portal.call(rows, command.database_url, "api_key")
    users = portal.call(rows, command.database_url, "app_user")

    second = command.seed(admin="Admin@Example.com", demo="DEMO@example.com")

    assert second == first
    assert portal.call(rows, command.database_url, "api_key") == keys
    assert len(keys) == 1
    again = portal.call(rows, command.database_url, "app_user")
    assert [row["account_id"] for row in again] == [row["account_id"] for row in users]
    assert {row["email"]: row["role"] for row in again} == {
        "admin@example.com": "admin",
        "demo@example.com": "customer",
    }
    stored = {row["email"]: row["password_hash"] for row in again}
    assert verify_password(stored["admin@example.com"], PASSWORD)
    assert not verify_password(stored["demo@example.com"], "!")

    monkeypatch.setenv("AIBRIDGE_AUTH_ADMIN_PASSWORD", "another horse battery")
    command.seed()
    changed = portal.call(rows, command.database_url, "app_user")
    stored = {row["email"]: row["password_hash"] for row in changed}
    assert verify_password(stored["admin@example.com"], "another horse battery")


@pytest.mark.parametrize("key", ["", "ab-short", "sk-0123456789"])
def test_a_demo_key_that_is_none_is_refused(
    command: Command, monkeypatch: pytest.MonkeyPatch, key: str
) -> None:
    monkeypatch.setenv("AIBRIDGE_AUTH_DEMO_KEY", key)

    with pytest.raises(ValueError, match="not a well-formed key") as refusal:
        command.seed()

    assert not key or key not in str(refusal.value)


def test_an_administrator_needs_a_password(
    command: Command, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delenv("AIBRIDGE_AUTH_ADMIN_PASSWORD")
    with pytest.raises(ValueError, match="AIBRIDGE_AUTH_ADMIN_PASSWORD is not set"):
        command.seed()

    monkeypatch.setenv("AIBRIDGE_AUTH_ADMIN_PASSWORD", "short")
    with pytest.raises(ValueError, match="12 characters"):
        command.seed()
