"""Six digits from a shared secret and the time (RFC 6238); each counts once."""

import hmac
import secrets

import pyotp

STEP_S = 30
AROUND = 1
"""A phone's clock may be a step off."""
ISSUER = "AI-Bridge"
RECOVERY_CODES = 10


def new_secret() -> str:
    """160 random bits in base32."""
    return pyotp.random_base32()


def uri(secret: str, email: str) -> str:
    """What a phone scans."""
    return pyotp.TOTP(secret).provisioning_uri(name=email, issuer_name=ISSUER)


def step_of(secret: str, code: str, now_s: float, used_step: int) -> int | None:
    """The step that `code` belongs to, if it is one of now and later than `used_step`."""
    otp, current, found = pyotp.HOTP(secret), int(now_s) // STEP_S, None
    for step in range(current - AROUND, current + AROUND + 1):
        if hmac.compare_digest(otp.at(step), code.strip()) and step > used_step:
            found = step
    return found


def new_recovery_codes() -> list[str]:
    """For a lost phone; each counts once. 50 bits each, behind a throttle."""
    alphabet = "23456789abcdefghjkmnpqrstvwxyz"
    codes = ["".join(secrets.choice(alphabet) for _ in range(10)) for _ in range(RECOVERY_CODES)]
    return [f"{code[:5]}-{code[5:]}" for code in codes]
