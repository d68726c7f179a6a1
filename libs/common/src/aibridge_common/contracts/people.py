"""What auth answers about people: signing up, logging in, second factors, roles and states."""

from datetime import datetime
from typing import Annotated, Literal
from uuid import UUID

from msgspec import Meta

from aibridge_common.structs import Command, Reply

Email = Annotated[str, Meta(min_length=3, max_length=254, examples=["ada@customer.example"])]
Password = Annotated[str, Meta(min_length=1, max_length=1024)]
Code = Annotated[str, Meta(min_length=6, max_length=20, pattern=r"^[0-9A-Za-z -]+$")]
Token = Annotated[str, Meta(min_length=1, max_length=256)]
ClientIp = Annotated[str, Meta(max_length=64, examples=["203.0.113.7"])]
Reason = Annotated[str, Meta(min_length=1, max_length=1000, pattern=r"^[^\x00]*$")]
Language = Literal["en", "zh"]
Role = Literal["customer", "support", "admin"]
UserState = Literal["active", "suspended", "closed"]


class SignUp(Command, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Somebody wants an account. `client_ip` is whose browser it is: tries are counted by it."""

    email: Email
    password: Password
    language: Language = "en"
    client_ip: ClientIp = ""


class Sent(Reply, frozen=True, kw_only=True):
    """A mail is on its way, if there is anybody to get one: the answer does not tell."""

    sent: bool


class ShowToken(Command, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """The token of a mail's link, or of a session."""

    token: Token
    client_ip: ClientIp = ""


class LogIn(Command, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Address and password; `code` is of the phone, or a recovery code, once there is a second factor."""

    email: Email
    password: Password
    code: Code | None = None
    client_ip: ClientIp = ""


class AskReset(Command, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """A forgotten password."""

    email: Email
    client_ip: ClientIp = ""


class FinishReset(Command, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """The token of the mail and the new password; every session ends."""

    token: Token
    password: Password
    client_ip: ClientIp = ""


class ChangePassword(Command, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """The old password and the new; every session ends."""

    old_password: Password
    password: Password


class StepUp(Command, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Prove again who is there, before something that matters: with the code where there is a second factor."""

    token: Token
    password: Password | None = None
    code: Code | None = None


class ConfirmCode(Command, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """The first code of the phone, which proves that it has the secret."""

    code: Code


class SetRole(Command, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """What a person may do; `actor` is the administrator's user id."""

    role: Role
    actor: UUID
    reason: Reason


class SetUserState(Command, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Whether a person may come in, and with them their keys; `closed` is for ever."""

    state: UserState
    actor: UUID
    reason: Reason


class UserShown(Reply, frozen=True, kw_only=True):
    """A person and the account they own."""

    user_id: UUID
    account_id: UUID
    email: str
    role: Role
    state: UserState
    language: Language
    email_verified: bool
    second_factor: bool
    created_at: datetime


class SessionShown(Reply, frozen=True, kw_only=True):
    """Who is logged in. Staff without a second factor have only a customer's rights: `rights` says which count."""

    session_id: UUID
    user: UserShown
    rights: Role
    proven_at: datetime
    ends_at: datetime
    idle_ends_at: datetime


class LoggedIn(Reply, frozen=True, kw_only=True):
    """A new session; `token` is shown this once and is not stored."""

    token: str
    session: SessionShown


class SecondFactor(Reply, frozen=True, kw_only=True):
    """What the phone scans; it counts once the first code was confirmed."""

    secret: str
    uri: str


class RecoveryCodes(Reply, frozen=True, kw_only=True):
    """Each logs in once without the phone; shown this once."""

    codes: list[str]
