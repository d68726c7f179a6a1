"""Which way to send mails the settings turn on."""

from pathlib import Path

from aibridge_auth.mail.mailers import FolderMailer, Mailer, SmtpMailer
from aibridge_auth.settings import Settings


def open_mailer(settings: Settings) -> Mailer | None:
    """None where none is set. Raises `InvalidSettings`."""
    if settings.smtp_url is not None:
        return SmtpMailer(settings.smtp_url, settings.mail_from)
    if settings.outbox_dir:
        return FolderMailer(Path(settings.outbox_dir), settings.mail_from)
    return None
