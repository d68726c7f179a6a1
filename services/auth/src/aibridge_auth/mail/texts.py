"""What the mails say, in English and Chinese. Links lead to the configured address, whatever a request says."""

from typing import Literal

from msgspec import Struct

Language = Literal["en", "zh"]
Kind = Literal["verify", "reset", "known"]

_TEXTS: dict[Kind, dict[Language, tuple[str, str]]] = {
    "verify": {
        "en": (
            "Confirm your address",
            (
                "Welcome to AI-Bridge. Confirm your address within 30 minutes:\n\n{link}\n\n"
                "If you did not sign up, ignore this mail."
            ),
        ),
        "zh": (
            "确认您的邮箱",
            "欢迎使用 AI-Bridge。请在 30 分钟内确认邮箱:\n\n{link}\n\n如非本人操作,请忽略此邮件。",
        ),
    },
    "reset": {
        "en": (
            "Choose a new password",
            (
                "Choose a new password within 30 minutes:\n\n{link}\n\n"
                "If you did not ask for it, ignore this mail: your password stays as it is."
            ),
        ),
        "zh": (
            "重置密码",
            "请在 30 分钟内重置密码:\n\n{link}\n\n如非本人操作,请忽略此邮件,密码不会改变。",
        ),
    },
    "known": {
        "en": (
            "You have an account already",
            (
                "Somebody, perhaps you, signed up with this address, which has an account already. Log in, or choose"
                " a new password:\n\n{link}"
            ),
        ),
        "zh": (
            "您已有账户",
            "有人(可能是您)用此邮箱注册,但该邮箱已有账户。请直接登录,或重置密码:\n\n{link}",
        ),
    },
}
_PATHS: dict[Kind, str] = {
    "verify": "/verify-email?token={token}",
    "reset": "/reset-password?token={token}",
    "known": "/forgot-password",
}


class Letter(Struct, frozen=True):
    """Subject and body."""

    subject: str
    body: str


def letter(kind: Kind, language: Language, public_url: str, token: str = "") -> Letter:
    """A mail with its link."""
    subject, body = _TEXTS[kind][language]
    link = public_url.rstrip("/") + _PATHS[kind].format(token=token)
    return Letter(f"AI-Bridge: {subject}", body.format(link=link) + "\n")
