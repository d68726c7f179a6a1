"""Becoming a customer, and getting back in, for the portal."""

from typing import Any

from litestar import Controller, Request, post
from litestar.di import NamedDependency
from litestar.params import JSONBody

from aibridge_auth.crypto.passwords import check_length
from aibridge_auth.mail.queue import enqueue
from aibridge_auth.mail.texts import letter
from aibridge_auth.sessions.proofs import Proofs
from aibridge_auth.sessions.store import end_sessions
from aibridge_auth.sign_up.store import issue_token, use_token
from aibridge_auth.throttles.policies import (
    MAIL_FROM_IP,
    MAIL_TO_ADDRESS,
    SIGN_UP_FROM_IP,
    TOKEN_FROM_IP,
)
from aibridge_auth.throttles.throttles import Throttles
from aibridge_auth.users.addresses import read_address
from aibridge_auth.users.store import add_user, find_user, set_password, user_at, verify_email
from aibridge_common.contracts.people import (
    AskReset,
    FinishReset,
    Sent,
    ShowToken,
    SignUp,
    UserShown,
)
from aibridge_common.db.engine import Database, transaction
from aibridge_common.errors import InvalidRequest

_SENT = Sent(sent=True)


class SignUpController(Controller):
    """Sign up, prove the address, reset the password."""

    path, tags = "/v1", ["sign-up"]

    @post("/users", operation_id="SignUp", status_code=202)
    async def sign_up(
        self,
        request: Request[Any, Any, Any],
        data: JSONBody[SignUp],
        database: NamedDependency[Database],
        proofs: NamedDependency[Proofs],
        throttles: NamedDependency[Throttles],
        public_url: NamedDependency[str],
    ) -> Sent:
        """A mail with a link goes to the address. One that has an account gets another mail: the answer is the same.

        The password counts once the link of this very mail was opened: whoever signs up with another's address gains
        nothing when the other follows a link of their own.
        """
        email = read_address(data.email)
        check_length(data.password)
        if data.client_ip:
            await throttles.take(request, SIGN_UP_FROM_IP, data.client_ip)
        await throttles.take(request, MAIL_TO_ADDRESS, email)
        hashed = await proofs.passwords.hash(data.password, email)
        async with transaction(database) as tx:
            user = await add_user(tx, email, data.language) or await user_at(tx, email)
            if user is None:  # deleted by hand this very moment
                return _SENT
            if user.email_verified:
                await enqueue(tx, email, letter("known", user.language, public_url))
            elif user.state == "active":
                token = await issue_token(tx, user, "verify", hashed)
                await enqueue(tx, email, letter("verify", data.language, public_url, token))
        return _SENT

    @post("/users/verify-email", operation_id="VerifyEmail", status_code=200)
    async def verify(
        self,
        request: Request[Any, Any, Any],
        data: JSONBody[ShowToken],
        database: NamedDependency[Database],
        throttles: NamedDependency[Throttles],
    ) -> UserShown:
        """The link of the mail was opened, and its page's button pressed."""
        if data.client_ip:
            await throttles.take(request, TOKEN_FROM_IP, data.client_ip)
        async with transaction(database) as tx:
            worth = await use_token(tx, data.token, "verify")
            if worth is None:
                raise _worthless()
            if worth.password_hash is not None:
                await set_password(tx, worth.user_id, worth.password_hash)
            await verify_email(tx, worth.user_id)
            return (await find_user(tx, worth.user_id)).shown()

    @post("/password-resets", operation_id="AskPasswordReset", status_code=202)
    async def ask_reset(
        self,
        request: Request[Any, Any, Any],
        data: JSONBody[AskReset],
        database: NamedDependency[Database],
        throttles: NamedDependency[Throttles],
        public_url: NamedDependency[str],
    ) -> Sent:
        """A mail with a link, if the address has an account; the answer does not tell."""
        email = read_address(data.email)
        if data.client_ip:
            await throttles.take(request, MAIL_FROM_IP, data.client_ip)
        await throttles.take(request, MAIL_TO_ADDRESS, email)
        async with transaction(database) as tx:
            user = await user_at(tx, email)
            if user is not None and user.state == "active":
                token = await issue_token(tx, user, "reset")
                await enqueue(tx, email, letter("reset", user.language, public_url, token))
        return _SENT

    @post("/password-resets/finish", operation_id="FinishPasswordReset", status_code=200)
    async def finish_reset(
        self,
        request: Request[Any, Any, Any],
        data: JSONBody[FinishReset],
        database: NamedDependency[Database],
        proofs: NamedDependency[Proofs],
        throttles: NamedDependency[Throttles],
    ) -> UserShown:
        """A new password; the address is proven by it, and every session ends. A second factor stays."""
        if data.client_ip:
            await throttles.take(request, TOKEN_FROM_IP, data.client_ip)
        hashed = await proofs.passwords.hash(data.password)
        async with transaction(database) as tx:
            worth = await use_token(tx, data.token, "reset")
            if worth is None:
                raise _worthless()
            await set_password(tx, worth.user_id, hashed)
            await verify_email(tx, worth.user_id)
            await end_sessions(tx, worth.user_id)
            return (await find_user(tx, worth.user_id)).shown()


def _worthless() -> InvalidRequest:
    return InvalidRequest(
        "this link was used, is older than half an hour, or was never sent; ask for a new one",
        param="token",
    )
