"""How often who may try what. Fixed windows: simple to say, to test and to write into a header."""

from msgspec import Struct


class Policy(Struct, frozen=True):
    """At most `limit` tries in `window_s`."""

    name: str
    limit: int
    window_s: int


LOGIN_OF_ADDRESS = Policy("login-address", 10, 900)
LOGIN_FROM_IP = Policy("login-ip", 100, 900)
SIGN_UP_FROM_IP = Policy("sign-up-ip", 20, 3600)
MAIL_TO_ADDRESS = Policy("mail-address", 5, 3600)
MAIL_FROM_IP = Policy("mail-ip", 50, 3600)
TOKEN_FROM_IP = Policy("token-ip", 100, 3600)
PROOF_OF_USER = Policy("proof-user", 10, 900)
"""Passwords and codes shown within a session."""
