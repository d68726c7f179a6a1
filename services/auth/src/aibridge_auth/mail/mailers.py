"""Ways to send a mail: an SMTP server, or a folder that stands for one."""

import smtplib
import ssl
from email.message import EmailMessage
from pathlib import Path
from typing import Protocol
from urllib.parse import unquote, urlsplit

import anyio
import anyio.to_thread

from aibridge_auth.mail.texts import Letter
from aibridge_common.ids import uuid7
from aibridge_common.settings import InvalidSettings, Secret

TIMEOUT_S = 15.0


class MailRefused(Exception):
    """It was not sent, and may be another time."""


class Mailer(Protocol):
    """Sends one mail, or raises `MailRefused`."""

    async def send(self, recipient: str, letter: Letter) -> None:
        """Returns once the next server has it."""
        ...


class SmtpMailer:
    """`smtps://user:password@host:465`, or `smtp://…:587` with STARTTLS; a server without TLS gets no mail."""

    def __init__(self, url: Secret, sender: str, *, tls: ssl.SSLContext | None = None) -> None:
        parts = urlsplit(url.reveal())
        if parts.scheme not in ("smtp", "smtps") or not parts.hostname or not sender:
            raise InvalidSettings(
                "AIBRIDGE_AUTH_SMTP_URL is smtp://… or smtps://…, with AIBRIDGE_AUTH_MAIL_FROM beside it"
            )
        self._host, self._implicit = parts.hostname, parts.scheme == "smtps"
        self._port = parts.port or (465 if self._implicit else 587)
        self._user, self._password = unquote(parts.username or ""), unquote(parts.password or "")
        self._sender = sender
        self._tls = tls or ssl.create_default_context()

    async def send(self, recipient: str, letter: Letter) -> None:
        """In a thread: the standard library's client waits."""
        await anyio.to_thread.run_sync(self._send, message(self._sender, recipient, letter))

    def _send(self, mail: EmailMessage) -> None:
        try:
            with self._connected() as server:
                if not self._implicit:
                    server.starttls(context=self._tls)
                if self._user:
                    server.login(self._user, self._password)
                server.send_message(mail)
        except (OSError, smtplib.SMTPException) as error:  # its text may name the address
            raise MailRefused(type(error).__name__) from None

    def _connected(self) -> smtplib.SMTP:
        if self._implicit:
            return smtplib.SMTP_SSL(self._host, self._port, timeout=TIMEOUT_S, context=self._tls)
        return smtplib.SMTP(self._host, self._port, timeout=TIMEOUT_S)


class FolderMailer:
    """Writes each mail into a folder as a file that mail programs open, readable by its owner only."""

    def __init__(self, folder: Path, sender: str) -> None:
        self._folder = folder
        self._sender = sender or "aibridge@localhost"

    async def send(self, recipient: str, letter: Letter) -> None:
        """The newest has the highest name."""
        content = message(self._sender, recipient, letter).as_bytes()
        try:
            await anyio.to_thread.run_sync(self._write, content)
        except OSError as error:
            raise MailRefused(type(error).__name__) from None

    def _write(self, content: bytes) -> None:
        self._folder.mkdir(mode=0o700, parents=True, exist_ok=True)
        path = self._folder / f"{uuid7()}.eml"
        partly = path.with_suffix(".part")
        partly.touch(mode=0o600)
        partly.write_bytes(content)
        partly.rename(path)


def message(sender: str, recipient: str, letter: Letter) -> EmailMessage:
    """A plain text mail; the library refuses line breaks in headers."""
    mail = EmailMessage()
    mail["From"], mail["To"], mail["Subject"] = sender, recipient, letter.subject
    mail.set_content(letter.body)
    return mail
