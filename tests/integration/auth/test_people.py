"""People sign up, prove their address, log in, get back in; and whoever is not them does not."""

import asyncio
import re
import statistics
import time
from collections.abc import AsyncIterator
from email import message_from_bytes, policy
from email.message import EmailMessage
from pathlib import Path
from typing import Any

import httpx
import pytest
from argon2 import PasswordHasher
from pyotp import totp

from aibridge_auth.crypto.password import hash_password
from aibridge_auth.mail import queue
from aibridge_common.ids import uuid7
from tests.fixtures.services import http_to, running_auth, until

pytestmark = pytest.mark.anyio
PASSWORD, OTHER = "correct horse battery", "another horse entirely"
Json = dict[str, Any]


@pytest.fixture(scope="module")
def outbox(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("mail")


@pytest.fixture(scope="module")
async def http(auth_url: str, nats_url: str, outbox: Path) -> AsyncIterator[httpx.AsyncClient]:
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(queue, "EVERY_S", 0.02)
        async with (
            running_auth(
                auth_url, nats_url, outbox_dir=str(outbox), public_url="https://portal.example"
            ) as url,
            http_to(url) as client,
        ):
            yield client


def somebody() -> str:
    return f"{uuid7().hex}@customer.example"


async def sign_up(
    http: httpx.AsyncClient, email: str, password: str = PASSWORD, **more: Any
) -> None:
    answer = await http.post("/v1/users", json={"email": email, "password": password} | more)
    assert answer.status_code == 202, answer.text
    assert answer.json() == {"sent": True}


async def mails(outbox: Path, email: str, count: int) -> list[EmailMessage]:
    """The newest last, once there are so many."""
    async with asyncio.timeout(10):
        while True:
            found = [
                message
                for path in sorted(outbox.glob("*.eml"))  # noqa: ASYNC240 - a handful of small files
                if (message := message_from_bytes(path.read_bytes(), policy=policy.default))["To"]
                == email
            ]
            if len(found) >= count:
                return found  # pyright: ignore[reportReturnType]
            await asyncio.sleep(0.02)


def token_in(mail: EmailMessage) -> str:
    link = re.search(r"https://portal\.example/\S+token=(\S+)", mail.get_content())
    assert link is not None, mail.get_content()
    return link[1]


async def member(http: httpx.AsyncClient, outbox: Path, email: str | None = None) -> Json:
    """Somebody who proved their address."""
    email = email or somebody()
    await sign_up(http, email)
    [mail] = await mails(outbox, email, 1)
    answer = await http.post("/v1/users/verify-email", json={"token": token_in(mail)})
    assert answer.status_code == 200, answer.text
    return answer.json()


async def log_in(
    http: httpx.AsyncClient, email: str, password: str = PASSWORD, **more: Any
) -> httpx.Response:
    return await http.post("/v1/sessions", json={"email": email, "password": password} | more)


async def check(http: httpx.AsyncClient, token: str) -> httpx.Response:
    return await http.post("/v1/sessions/check", json={"token": token})


async def admin(table: Any) -> str:
    """An administrator's user id."""
    user_id = uuid7()
    await table.execute(
        "INSERT INTO app_user (id, account_id, email, password_hash, role, email_verified_at)"
        " VALUES ($1, $2, $3, $4, 'admin', now())",
        user_id,
        uuid7(),
        f"{user_id.hex}@staff.example",
        hash_password(PASSWORD),
    )
    return str(user_id)


async def test_from_signing_up_to_logging_out(
    http: httpx.AsyncClient, outbox: Path, table: Any
) -> None:
    email = somebody()
    await sign_up(http, f" {email.upper()} ")
    early = await log_in(http, email)
    assert early.status_code == 401
    [mail] = await mails(outbox, email, 1)
    token = token_in(mail)
    user = (await http.post("/v1/users/verify-email", json={"token": token})).json()
    assert (user["email"], user["role"], user["state"]) == (email, "customer", "active")
    again = await http.post("/v1/users/verify-email", json={"token": token})
    assert (again.status_code, again.json()["param"]) == (400, "token")

    begun = await log_in(http, email)

    assert begun.status_code == 201
    session: str = begun.json()["token"]
    shown = await check(http, session)
    assert shown.json()["user"] == user
    assert shown.json()["rights"] == "customer"
    kept = await table.fetch("SELECT * FROM login_session")
    assert session not in repr(kept)
    for _ in range(2):
        assert (await http.post("/v1/sessions/end", json={"token": session})).status_code == 204
    over = await check(http, session)
    assert (over.status_code, over.json()["code"]) == (401, "wrong_credentials")


async def test_mails_are_in_the_language_of_who_signs_up(
    http: httpx.AsyncClient, outbox: Path
) -> None:
    email = somebody()
    await sign_up(http, email, language="zh")
    [mail] = await mails(outbox, email, 1)

    assert "确认您的邮箱" in mail["Subject"]
    assert token_in(mail)


async def test_an_address_with_an_account_is_not_told_apart(
    http: httpx.AsyncClient, outbox: Path
) -> None:
    """By its mail only, which only its owner reads; the password stays as it was."""
    user = await member(http, outbox)
    await sign_up(http, user["email"], OTHER)

    newest = (await mails(outbox, user["email"], 2))[-1]
    assert "already" in newest["Subject"]
    assert "token=" not in newest.get_content()
    assert (await log_in(http, user["email"], OTHER)).status_code == 401
    assert (await log_in(http, user["email"])).status_code == 201


async def test_who_signs_up_with_anothers_address_gains_nothing(
    http: httpx.AsyncClient, outbox: Path
) -> None:
    """Their password counts only if the other opens their link; the other's own link brings the other's password."""
    email = somebody()
    await sign_up(http, email, OTHER)
    await sign_up(http, email, PASSWORD)
    await sign_up(http, email, OTHER)
    _, own, late = await mails(outbox, email, 3)

    await http.post("/v1/users/verify-email", json={"token": token_in(own)})

    assert (await log_in(http, email, OTHER)).status_code == 401
    assert (await log_in(http, email, PASSWORD)).status_code == 201
    void = await http.post("/v1/users/verify-email", json={"token": token_in(late)})
    assert void.status_code == 400


async def test_a_reset_ends_every_session_and_works_once(
    http: httpx.AsyncClient, outbox: Path
) -> None:
    user = await member(http, outbox)
    session = (await log_in(http, user["email"])).json()["token"]
    asked = await http.post("/v1/password-resets", json={"email": user["email"]})
    nobody = await http.post("/v1/password-resets", json={"email": somebody()})
    assert (asked.status_code, asked.json()) == (nobody.status_code, nobody.json())
    token = token_in((await mails(outbox, user["email"], 2))[-1])
    finish = {"token": token, "password": OTHER}
    as_proof = await http.post("/v1/users/verify-email", json={"token": token})
    assert as_proof.status_code == 400

    done = await http.post("/v1/password-resets/finish", json=finish)

    assert done.status_code == 200
    assert (await http.post("/v1/password-resets/finish", json=finish)).status_code == 400
    assert (await check(http, session)).status_code == 401
    assert (await log_in(http, user["email"])).status_code == 401
    assert (await log_in(http, user["email"], OTHER)).status_code == 201


async def test_a_link_is_worth_half_an_hour_and_for_one_address(
    http: httpx.AsyncClient, outbox: Path, table: Any
) -> None:
    late, moved = await member(http, outbox), await member(http, outbox)
    for user in (late, moved):
        await http.post("/v1/password-resets", json={"email": user["email"]})
    tokens = [token_in((await mails(outbox, user["email"], 2))[-1]) for user in (late, moved)]
    await table.execute("UPDATE mail_token SET expires_at = now() WHERE email = $1", late["email"])
    await table.execute(
        "UPDATE app_user SET email = $1 WHERE email = $2", somebody(), moved["email"]
    )

    for token in tokens:
        finish = {"token": token, "password": OTHER}
        assert (await http.post("/v1/password-resets/finish", json=finish)).status_code == 400


async def test_sessions_end_by_themselves(
    http: httpx.AsyncClient, outbox: Path, table: Any
) -> None:
    user = await member(http, outbox)
    idle, old = [(await log_in(http, user["email"])).json()["token"] for _ in range(2)]
    ids = [(await check(http, token)).json()["session_id"] for token in (idle, old)]
    await table.execute(
        "UPDATE login_session SET seen_at = now() - interval '31 minutes' WHERE id = $1", ids[0]
    )
    await table.execute(
        "UPDATE login_session SET created_at = now() - interval '12 hours 1 minute' WHERE id = $1",
        ids[1],
    )

    assert (await check(http, idle)).status_code == 401
    assert (await check(http, old)).status_code == 401


async def test_changing_the_password_ends_every_session(
    http: httpx.AsyncClient, outbox: Path
) -> None:
    user = await member(http, outbox)
    session = (await log_in(http, user["email"])).json()["token"]
    path = f"/v1/users/{user['user_id']}/password"
    wrong = await http.post(path, json={"old_password": OTHER, "password": OTHER})
    assert (wrong.status_code, wrong.json()["param"]) == (401, "old_password")

    changed = await http.post(path, json={"old_password": PASSWORD, "password": OTHER})

    assert changed.status_code == 204
    assert (await check(http, session)).status_code == 401
    assert (await log_in(http, user["email"], OTHER)).status_code == 201


@pytest.mark.parametrize("weak", ["password1234", "the address {}"], ids=["leaked", "address"])
async def test_a_changed_password_is_looked_at_as_a_first_one_is(
    http: httpx.AsyncClient, outbox: Path, weak: str
) -> None:
    user = await member(http, outbox)
    session = (await log_in(http, user["email"])).json()["token"]

    refused = await http.post(
        f"/v1/users/{user['user_id']}/password",
        json={"old_password": PASSWORD, "password": weak.format(user["email"])},
    )

    assert (refused.status_code, refused.json()["param"]) == (400, "password")
    assert (await check(http, session)).status_code == 200


async def test_staff_have_their_rights_with_a_second_factor_only(
    http: httpx.AsyncClient, table: Any
) -> None:
    user_id = await admin(table)
    email = f"{user_id.replace('-', '')}@staff.example"
    plain = (await log_in(http, email)).json()
    assert plain["session"]["rights"] == "customer"
    begun = (await http.post(f"/v1/users/{user_id}/second-factor")).json()
    assert begun["uri"].startswith("otpauth://totp/AI-Bridge:")
    otp = totp.TOTP(begun["secret"])
    confirm = f"/v1/users/{user_id}/second-factor/confirm"
    assert (await http.post(confirm, json={"code": "000000"})).status_code == 401
    confirmed = await http.post(confirm, json={"code": otp.now()})
    codes: list[str] = confirmed.json()["codes"]
    assert len(set(codes)) == 10
    assert (await check(http, plain["token"])).status_code == 401

    without = await log_in(http, email)
    replayed = await log_in(http, email, code=otp.now())
    wrong_password = await log_in(http, email, OTHER, code=codes[0])
    with_recovery = await log_in(http, email, code=codes[0].upper())
    twice = await log_in(http, email, code=codes[0])
    next_step = await log_in(http, email, code=otp.at(int(time.time()) + 30))  # noqa: TID251

    assert (without.status_code, without.json()["code"]) == (401, "second_factor_needed")
    assert replayed.status_code == 401
    assert wrong_password.json()["code"] == "wrong_credentials"
    assert with_recovery.json()["session"]["rights"] == "admin"
    assert twice.status_code == 401
    assert next_step.status_code == 201
    kept = repr(
        await table.fetch("SELECT totp FROM app_user UNION SELECT digest FROM recovery_code")
    )
    assert begun["secret"] not in kept
    assert not any(code in kept for code in codes)


async def test_stepping_up_gives_another_token(http: httpx.AsyncClient, outbox: Path) -> None:
    user = await member(http, outbox)
    token = (await log_in(http, user["email"])).json()["token"]
    before = (await check(http, token)).json()["proven_at"]
    wrong = await http.post("/v1/sessions/step-up", json={"token": token, "password": OTHER})
    missing = await http.post("/v1/sessions/step-up", json={"token": token})
    assert (wrong.status_code, missing.status_code) == (401, 400)

    stepped = await http.post("/v1/sessions/step-up", json={"token": token, "password": PASSWORD})

    assert stepped.json()["session"]["proven_at"] > before
    assert (await check(http, token)).status_code == 401
    assert (await check(http, stepped.json()["token"])).status_code == 200


async def test_who_is_suspended_is_out_and_so_are_their_keys(
    http: httpx.AsyncClient, outbox: Path, table: Any
) -> None:
    user, actor = await member(http, outbox), await admin(table)
    session = (await log_in(http, user["email"])).json()["token"]
    made = {"account_id": user["account_id"], "name": "ci"}
    key = (await http.post("/v1/keys", json=made)).json()["key"]
    said = {"state": "suspended", "actor": actor, "reason": "abuse"}
    path = f"/v1/users/{user['user_id']}/state"

    assert (await http.put(path, json=said)).json()["state"] == "suspended"

    assert (await check(http, session)).status_code == 401
    assert (await log_in(http, user["email"])).status_code == 403
    assert (await log_in(http, user["email"], OTHER)).status_code == 401
    verdict = (await http.post("/v1/keys/verify", json={"key": key})).json()
    assert verdict == {"reason": "account suspended"}
    await http.put(path, json=said | {"state": "active"})
    assert "facts" in (await http.post("/v1/keys/verify", json={"key": key})).json()
    await http.put(path, json=said | {"state": "closed"})
    assert (await http.put(path, json=said | {"state": "active"})).status_code == 409
    audit = (await http.get("/v1/audit")).json()["rows"]
    assert [one["action"] for one in audit[:3]] == ["user.closed", "user.active", "user.suspended"]
    assert audit[0]["document"]["actor"] == actor


async def test_only_another_administrator_changes_people(
    http: httpx.AsyncClient, outbox: Path, table: Any
) -> None:
    user, actor = await member(http, outbox), await admin(table)
    path = f"/v1/users/{user['user_id']}"
    role = {"role": "support", "reason": "joins us"}

    for wrong in (user["user_id"], str(uuid7())):
        answer = await http.put(f"{path}/role", json=role | {"actor": wrong})
        assert (answer.status_code, answer.json()["param"]) == (403, "actor")
    own = await http.put(f"/v1/users/{actor}/role", json=role | {"actor": actor})
    assert own.status_code == 403
    raised = await http.put(f"{path}/role", json=role | {"actor": actor})
    assert raised.json()["role"] == "support"
    unknown = await http.put(f"/v1/users/{uuid7()}/role", json=role | {"actor": actor})
    assert unknown.status_code == 404
    await table.execute("UPDATE app_user SET state = 'suspended' WHERE id = $1", actor)
    suspended = await http.put(f"{path}/role", json=role | {"actor": actor})
    assert suspended.status_code == 403
    found = await http.get("/v1/users", params={"email": user["email"].upper()})
    assert found.json() == (await http.get(path)).json()


async def test_a_lost_phone_is_taken_off_by_another(http: httpx.AsyncClient, table: Any) -> None:
    user_id, actor = await admin(table), await admin(table)
    begun = (await http.post(f"/v1/users/{user_id}/second-factor")).json()
    code = totp.TOTP(begun["secret"]).now()
    path = f"/v1/users/{user_id}/second-factor"
    await http.post(f"{path}/confirm", json={"code": code})
    assert (await http.post(path)).status_code == 409
    assert (await http.delete(path, params={"actor": user_id})).status_code == 403

    assert (await http.delete(path, params={"actor": actor})).status_code == 204

    shown = (await http.get(f"/v1/users/{user_id}")).json()
    assert shown["second_factor"] is False


async def test_guesses_are_counted_by_address_and_by_ip(http: httpx.AsyncClient) -> None:
    email = somebody()
    answers = [await log_in(http, email) for _ in range(11)]

    assert [answer.status_code for answer in answers] == [401] * 10 + [429]
    assert answers[0].headers["ratelimit-policy"] == '"login-address";q=10;w=900'
    assert re.fullmatch('"login-address";r=9;t=[0-9]+', answers[0].headers["ratelimit"])
    last = answers[-1]
    assert (last.json()["code"], last.headers["content-type"]) == (
        "rate_limited",
        "application/problem+json",
    )
    assert 0 < int(last.headers["retry-after"]) <= 900
    assert last.headers["ratelimit"].startswith('"login-address";r=0;t=')
    ip = "203.0.113.7"
    spread = [await log_in(http, somebody(), client_ip=ip) for _ in range(3)]
    assert {answer.status_code for answer in spread} == {401}


async def test_mails_to_one_address_are_few(http: httpx.AsyncClient) -> None:
    email = somebody()
    answers = [await http.post("/v1/password-resets", json={"email": email}) for _ in range(6)]

    assert [answer.status_code for answer in answers] == [202] * 5 + [429]


async def test_a_wrong_password_and_a_wrong_address_take_the_same_time(
    http: httpx.AsyncClient, outbox: Path
) -> None:
    """Medians of ten pairs, in turn; without the stand-in hash an unknown address answers within a tenth of it."""
    users = [await member(http, outbox) for _ in range(2)]
    known: list[float] = []
    unknown: list[float] = []
    for turn in range(10):
        for times, email in ((known, users[turn % 2]["email"]), (unknown, somebody())):
            begun = time.perf_counter()
            assert (await log_in(http, email, OTHER)).status_code == 401
            times.append(time.perf_counter() - begun)

    ratio = statistics.median(known) / statistics.median(unknown)
    assert 0.5 < ratio < 2, ratio


async def test_a_hash_of_older_parameters_is_renewed(
    http: httpx.AsyncClient, outbox: Path, table: Any
) -> None:
    user = await member(http, outbox)
    weak = PasswordHasher(time_cost=1, memory_cost=8, parallelism=1).hash(PASSWORD)
    await table.execute(
        "UPDATE app_user SET password_hash = $1 WHERE email = $2", weak, user["email"]
    )

    assert (await log_in(http, user["email"])).status_code == 201

    stored: str = await table.fetchval(
        "SELECT password_hash FROM app_user WHERE email = $1", user["email"]
    )
    assert "m=19456,t=2,p=1" in stored
    assert (await log_in(http, user["email"])).status_code == 201


@pytest.mark.parametrize(
    ("change", "param"),
    [
        ({"email": "nobody"}, "email"),
        ({"email": "a@b"}, "email"),
        ({"email": "a b@c.example"}, "email"),
        ({"email": "a@c.example\r\nBcc: x@y.example"}, "email"),
        ({"email": "a@c.example, x@y.example"}, "email"),
        ({"email": "a\0@c.example"}, "email"),
        ({"email": "ä@c.example"}, "email"),
        ({"email": "x" * 250 + "@c.example"}, "email"),
        ({"password": "short"}, "password"),
        ({"password": "a" * 20}, "password"),
        ({"password": "x1y2" * 65}, "password"),
        ({"password": "my a@customer.example!", "email": "a@customer.example"}, "password"),
        ({"language": "fr"}, "language"),
        ({"role": "admin"}, "role"),
        ({"email_verified": True}, "email_verified"),
        ({"account_id": "01a21ad7-c079-78a7-8f87-07d7595bb36a"}, "account_id"),
    ],
)
async def test_a_wrong_sign_up_is_refused_by_its_field(
    http: httpx.AsyncClient, change: Json, param: str
) -> None:
    answer = await http.post("/v1/users", json={"email": somebody(), "password": PASSWORD} | change)

    assert answer.status_code == 400, answer.text
    assert answer.json()["param"] == param, answer.text


async def test_the_same_key_call_is_answered_with_the_same_key(
    http: httpx.AsyncClient, outbox: Path, table: Any
) -> None:
    user = await member(http, outbox)
    made = {"account_id": user["account_id"], "name": "ci"}
    headers = {"idempotency-key": uuid7().hex}

    first = await http.post("/v1/keys", json=made, headers=headers)
    again = await http.post("/v1/keys", json=made, headers=headers)
    other = await http.post("/v1/keys", json=made | {"name": "x"}, headers=headers)

    assert again.json() == first.json()
    assert other.status_code == 409
    listed = (await http.get("/v1/keys", params={"account_id": user["account_id"]})).json()
    assert len(listed) == 1
    kept = await table.fetch("SELECT answer FROM idempotent_call")
    assert first.json()["key"].encode() not in b"".join(row["answer"] for row in kept)


async def test_no_mail_and_no_token_stays_behind(
    http: httpx.AsyncClient, outbox: Path, table: Any
) -> None:
    """What was sent is deleted: a stolen table opens nothing."""
    email = somebody()
    await sign_up(http, email)
    [mail] = await mails(outbox, email, 1)

    async def sent() -> bool:
        left = await table.fetchval("SELECT count(*) FROM mail WHERE recipient = $1", email)
        return left == 0

    await until(sent)

    kept = repr(await table.fetch("SELECT * FROM mail_token"))
    assert token_in(mail) not in kept
    files = list(outbox.glob("*.eml"))  # noqa: ASYNC240 - a handful of small files
    assert {path.stat().st_mode & 0o777 for path in files} == {0o600}
