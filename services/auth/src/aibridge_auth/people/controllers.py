"""People: who they are, what they may do, their password and their second factor."""

from typing import Any
from uuid import UUID

from litestar import Controller, Request, delete, get, post, put
from litestar.di import NamedDependency
from litestar.params import FromPath, FromQuery, JSONBody
from msgspec import to_builtins

from aibridge_auth.changes.notices import Notices
from aibridge_auth.changes.store import number_change
from aibridge_auth.crypto import totp
from aibridge_auth.crypto.tokens import digest
from aibridge_auth.sessions.proofs import Proofs
from aibridge_auth.sessions.store import end_sessions
from aibridge_auth.throttles.policies import PROOF_OF_USER
from aibridge_auth.throttles.throttles import Throttles
from aibridge_auth.users.addresses import read_address
from aibridge_auth.users.store import (
    User,
    find_user,
    put_recovery_codes,
    put_totp,
    set_password,
    set_role,
    set_state,
    user_at,
)
from aibridge_common.contracts.people import (
    ChangePassword,
    ConfirmCode,
    RecoveryCodes,
    SecondFactor,
    SetRole,
    SetUserState,
    UserShown,
)
from aibridge_common.db.audit import record
from aibridge_common.db.engine import Database, Transaction, transaction
from aibridge_common.errors import Conflict, Forbidden, NotFound, WrongCredentials


class PeopleController(Controller):
    """Users by id."""

    path, tags = "/v1/users", ["users"]

    @get(operation_id="FindUser")
    async def find(self, database: NamedDependency[Database], email: FromQuery[str]) -> UserShown:
        """The user with this address, for support."""
        async with transaction(database) as tx:
            user = await user_at(tx, read_address(email))
        if user is None:
            raise NotFound("nobody has this address", param="email")
        return user.shown()

    @get("/{user_id:uuid}", operation_id="GetUser")
    async def show(self, user_id: FromPath[UUID], database: NamedDependency[Database]) -> UserShown:
        """A user."""
        async with transaction(database) as tx:
            return (await find_user(tx, user_id)).shown()

    @put("/{user_id:uuid}/role", operation_id="SetUserRole")
    async def set_role(
        self,
        user_id: FromPath[UUID],
        data: JSONBody[SetRole],
        database: NamedDependency[Database],
        caller: NamedDependency[str],
    ) -> UserShown:
        """Another role, by an administrator and never by oneself; sessions end."""
        async with transaction(database) as tx:
            await _administrator(tx, data.actor, user_id)
            await find_user(tx, user_id, lock=True)
            await set_role(tx, user_id, data.role)
            await end_sessions(tx, user_id)
            await record(tx, caller, "user.role", str(user_id), to_builtins(data))
            return (await find_user(tx, user_id)).shown()

    @put("/{user_id:uuid}/state", operation_id="SetUserState")
    async def set_state(
        self,
        user_id: FromPath[UUID],
        data: JSONBody[SetUserState],
        database: NamedDependency[Database],
        notices: NamedDependency[Notices],
        caller: NamedDependency[str],
    ) -> UserShown:
        """Let a person and their keys in or not, within a second everywhere. Who is closed stays closed."""
        async with transaction(database) as tx:
            await _administrator(tx, data.actor, user_id)
            user = await find_user(tx, user_id, lock=True)
            if user.state == "closed" and data.state != "closed":
                raise Conflict("who is closed stays closed", param="state")
            await set_state(tx, user_id, data.state)
            await end_sessions(tx, user_id)
            await record(tx, caller, f"user.{data.state}", str(user_id), to_builtins(data))
            notice = await number_change(tx, user.account_id, None)
            shown = (await find_user(tx, user_id)).shown()
        await notices.send(notice)
        return shown

    @post("/{user_id:uuid}/password", operation_id="ChangePassword", status_code=204)
    async def change_password(
        self,
        request: Request[Any, Any, Any],
        user_id: FromPath[UUID],
        data: JSONBody[ChangePassword],
        database: NamedDependency[Database],
        proofs: NamedDependency[Proofs],
        throttles: NamedDependency[Throttles],
    ) -> None:
        """A new password for who knows the old one; every session ends."""
        async with transaction(database) as tx:
            user = await find_user(tx, user_id)
        await throttles.take(request, PROOF_OF_USER, str(user_id))
        if not await proofs.passwords.verify(user.password_hash, data.old_password):
            raise WrongCredentials("the old password is wrong", param="old_password")
        hashed = await proofs.passwords.hash(data.password, user.email)
        async with transaction(database) as tx:
            await set_password(tx, user_id, hashed)
            await end_sessions(tx, user_id)

    @post("/{user_id:uuid}/second-factor", operation_id="BeginSecondFactor", status_code=200)
    async def begin_second_factor(
        self,
        user_id: FromPath[UUID],
        database: NamedDependency[Database],
        proofs: NamedDependency[Proofs],
    ) -> SecondFactor:
        """A secret for a phone. It counts once a first code was confirmed; until then it may be drawn again."""
        async with transaction(database) as tx:
            user = await find_user(tx, user_id, lock=True)
            if user.second_factor:
                raise Conflict("there is a second factor; an administrator removes it")
            secret = totp.new_secret()
            await put_totp(tx, user_id, proofs.seal(secret, user_id))
        return SecondFactor(secret=secret, uri=totp.uri(secret, user.email))

    @post(
        "/{user_id:uuid}/second-factor/confirm",
        operation_id="ConfirmSecondFactor",
        status_code=200,
    )
    async def confirm_second_factor(
        self,
        request: Request[Any, Any, Any],
        user_id: FromPath[UUID],
        data: JSONBody[ConfirmCode],
        database: NamedDependency[Database],
        proofs: NamedDependency[Proofs],
        throttles: NamedDependency[Throttles],
        caller: NamedDependency[str],
    ) -> RecoveryCodes:
        """The first code; from now on logging in needs one. The recovery codes are shown this once."""
        await throttles.take(request, PROOF_OF_USER, str(user_id))
        codes = totp.new_recovery_codes()
        async with transaction(database) as tx:
            user = await find_user(tx, user_id, lock=True)
            if user.second_factor:
                raise Conflict("the second factor counts already")
            if not await proofs.code(tx, user, data.code):
                raise WrongCredentials(
                    "the code is wrong; is the phone's clock right?", param="code"
                )
            await put_recovery_codes(tx, user_id, [digest(code) for code in codes])
            await end_sessions(tx, user_id)
            await record(tx, caller, "user.second_factor", str(user_id), {})
        return RecoveryCodes(codes=codes)

    @delete("/{user_id:uuid}/second-factor", operation_id="RemoveSecondFactor")
    async def remove_second_factor(
        self,
        user_id: FromPath[UUID],
        database: NamedDependency[Database],
        caller: NamedDependency[str],
        actor: FromQuery[UUID],
    ) -> None:
        """For a lost phone, by an administrator and never by oneself; sessions end."""
        async with transaction(database) as tx:
            await _administrator(tx, actor, user_id)
            await find_user(tx, user_id, lock=True)
            await put_totp(tx, user_id, None)
            await put_recovery_codes(tx, user_id, [])
            await end_sessions(tx, user_id)
            await record(
                tx, caller, "user.second_factor_removed", str(user_id), {"actor": str(actor)}
            )


async def _administrator(tx: Transaction, actor: UUID, whom: UUID) -> User:
    """Raises `Forbidden` for whoever is none, or means themselves."""
    try:
        user = await find_user(tx, actor)
    except NotFound:
        user = None
    if user is None or user.role != "admin" or user.state != "active":
        raise Forbidden("only an administrator may do this", param="actor")
    if actor == whom:
        raise Forbidden("another administrator must do this", param="actor")
    return user
