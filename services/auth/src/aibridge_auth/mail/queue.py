"""Mails wait in the database, written with what they are about; sending them may take its time and fail."""

from typing import Any

import anyio
from sqlalchemy import text
from sqlalchemy.exc import DBAPIError

from aibridge_auth.mail.mailers import Mailer, MailRefused
from aibridge_auth.mail.texts import Letter
from aibridge_common.db.engine import Database, Transaction, transaction
from aibridge_common.ids import uuid7
from aibridge_common.telemetry.log import get_logger

EVERY_S = 1.0
WORTH_S = 1800
"""A mail's link is worth this long, and so is the mail."""
_AT_ONCE = 20
_AGAIN_AFTER_S = 15


async def enqueue(tx: Transaction, recipient: str, letter: Letter) -> None:
    """Send this after the commit."""
    await tx.execute(
        text(
            "INSERT INTO mail (id, recipient, subject, body, expires_at)"
            " VALUES (:id, :recipient, :subject, :body, now() + make_interval(secs => :worth))"
        ),
        {
            "id": uuid7(),
            "recipient": recipient,
            "subject": letter.subject,
            "body": letter.body,
            "worth": WORTH_S,
        },
    )


async def run_queue(database: Database, mailer: Mailer) -> None:
    """Send for ever; several replicas may, each mail is claimed by one."""
    while True:
        try:
            sent = await send_due(database, mailer)
        except (DBAPIError, OSError, TimeoutError) as error:
            get_logger().warning("mail.queue_failed", error=type(error).__name__)
            sent = 0
        if not sent:
            await anyio.sleep(EVERY_S)


async def send_due(database: Database, mailer: Mailer) -> int:
    """How many were sent. One that is refused waits ever longer, until it is worth nothing any more."""
    async with transaction(database) as tx:
        await tx.execute(text("DELETE FROM mail WHERE expires_at < now()"))
        rows = await tx.execute(
            text(
                "UPDATE mail SET tries = tries + 1,"
                " next_try_at = now() + make_interval(secs => :again * (tries + 1))"
                " WHERE id IN (SELECT id FROM mail WHERE next_try_at <= now() ORDER BY next_try_at LIMIT :most"
                " FOR UPDATE SKIP LOCKED) RETURNING id, recipient, subject, body"
            ),
            {"again": _AGAIN_AFTER_S, "most": _AT_ONCE},
        )
        due: list[Any] = list(rows.all())
    sent = 0
    for mail in due:
        try:
            await mailer.send(mail.recipient, Letter(mail.subject, mail.body))
        except MailRefused as error:
            get_logger().warning("mail.refused", mail=str(mail.id), reason=str(error))
            continue
        async with transaction(database) as tx:
            await tx.execute(text("DELETE FROM mail WHERE id = :id"), {"id": mail.id})
        sent += 1
    return sent
