"""The stack's database, with one role for each service that has a schema."""

from collections.abc import Mapping

import asyncpg

DATABASE = "aibridge"


async def ensure_database(superuser_url: str, passwords: Mapping[str, str]) -> None:
    """Create what is missing and set the passwords. `passwords` maps role to password.

    A role may create schemas, nothing else: each service's migrations make and own theirs.
    """
    connection = await asyncpg.connect(superuser_url)
    try:
        if not await connection.fetchval("select 1 from pg_database where datname = $1", DATABASE):
            await connection.execute(f"create database {DATABASE}")
        for role, password in passwords.items():
            known = await connection.fetchval("select 1 from pg_roles where rolname = $1", role)
            verb = "alter" if known else "create"
            # No parameters are possible here; both strings are letters, digits and underscores.
            assert (role + password).replace("_", "").isalnum()
            await connection.execute(f"{verb} role {role} login password '{password}'")
            await connection.execute(f"grant create, connect on database {DATABASE} to {role}")
    finally:
        await connection.close()
