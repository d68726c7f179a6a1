"""Logging in and out, for the portal."""

from typing import Any

from litestar import Controller, Request, post
from litestar.di import NamedDependency
from litestar.params import JSONBody

from aibridge_auth.crypto.tokens import digest, new_token
from aibridge_auth.sessions.proofs import Proofs
from aibridge_auth.sessions.store import (
    Session,
    add_session,
    end_session,
    find_session,
    renew_session,
)
from aibridge_auth.throttles.policies import LOGIN_FROM_IP, LOGIN_OF_ADDRESS, PROOF_OF_USER
from aibridge_auth.throttles.throttles import Throttles
from aibridge_auth.users.addresses import read_address
from aibridge_auth.users.store import User, set_password, user_at
from aibridge_common.contracts.people import LoggedIn, LogIn, SessionShown, ShowToken, StepUp
from aibridge_common.db.engine import Database, Transaction, transaction
from aibridge_common.errors import (
    Forbidden,
    InvalidRequest,
    SecondFactorNeeded,
    WrongCredentials,
)


class SessionController(Controller):
    """Begin, check, step up, end."""

    path, tags = "/v1/sessions", ["sessions"]

    @post(operation_id="LogIn")
    async def log_in(
        self,
        request: Request[Any, Any, Any],
        data: JSONBody[LogIn],
        database: NamedDependency[Database],
        proofs: NamedDependency[Proofs],
        throttles: NamedDependency[Throttles],
    ) -> LoggedIn:
        """A new session. A wrong address and a wrong password are the same answer after the same time.

        What else is wrong is said only to who knows the password: `second_factor_needed` asks for the code.
        """
        email = read_address(data.email)
        if data.client_ip:
            await throttles.take(request, LOGIN_FROM_IP, data.client_ip)
        await throttles.take(request, LOGIN_OF_ADDRESS, email)
        async with transaction(database) as tx:
            user = await user_at(tx, email)
        stored = user.password_hash if user is not None else None
        right = await proofs.passwords.verify(stored, data.password)
        if user is None or not right or not user.email_verified:
            raise WrongCredentials("address or password are wrong, or the address is not confirmed")
        if user.state != "active":
            raise Forbidden(f"this account is {user.state}")
        token = new_token()
        better = (
            await proofs.passwords.hash_again(data.password)
            if proofs.passwords.outdated(user.password_hash)
            else None
        )
        async with transaction(database) as tx:
            second = await _second_factor(tx, proofs, user, data.code)
            if better is not None:
                await set_password(tx, user.id, better)
            await add_session(tx, user.id, digest(token), second_factor=second)
            session = await _live(tx, token)
        return LoggedIn(token=token, session=session.shown())

    @post("/check", operation_id="CheckSession", status_code=200)
    async def check(
        self, data: JSONBody[ShowToken], database: NamedDependency[Database]
    ) -> SessionShown:
        """Who is logged in; 401 when the session is over. It counts as used."""
        async with transaction(database) as tx:
            return (await _live(tx, data.token)).shown()

    @post("/step-up", operation_id="StepUpSession", status_code=200)
    async def step_up(
        self,
        request: Request[Any, Any, Any],
        data: JSONBody[StepUp],
        database: NamedDependency[Database],
        proofs: NamedDependency[Proofs],
        throttles: NamedDependency[Throttles],
    ) -> LoggedIn:
        """Prove again who is there; the session goes on under a new token."""
        async with transaction(database) as tx:
            session = await _live(tx, data.token)
        await throttles.take(request, PROOF_OF_USER, str(session.user.id))
        if not session.user.second_factor:
            if data.password is None:
                raise InvalidRequest("the password is needed", param="password")
            if not await proofs.passwords.verify(session.user.password_hash, data.password):
                raise WrongCredentials("the password is wrong")
        token = new_token()
        async with transaction(database) as tx:
            second = await _second_factor(tx, proofs, session.user, data.code)
            await renew_session(tx, session.id, digest(token), second_factor=second)
            session = await _live(tx, token)
        return LoggedIn(token=token, session=session.shown())

    @post("/end", operation_id="EndSession", status_code=204)
    async def end(self, data: JSONBody[ShowToken], database: NamedDependency[Database]) -> None:
        """Log out. Safe to repeat."""
        async with transaction(database) as tx:
            await end_session(tx, digest(data.token))


async def _second_factor(tx: Transaction, proofs: Proofs, user: User, code: str | None) -> bool:
    """Whether one was shown. Raises where one is needed and was not, or was wrong."""
    if not user.second_factor:
        return False
    if code is None:
        raise SecondFactorNeeded("the code of the phone is needed too", param="code")
    if not await proofs.code(tx, user, code):
        raise WrongCredentials("the code is wrong, or was used before", param="code")
    return True


async def _live(tx: Transaction, token: str) -> Session:
    session = await find_session(tx, digest(token))
    if session is None:
        raise WrongCredentials("this session is over", param="token")
    return session
