from typing import Literal

from aibridge_sandbox.settings import Settings

Standing = Literal["good", "bad", "unfunded"]


def standing(key: str, settings: Settings) -> Standing:
    """A key says itself how it fares, unless the sandbox was given a list of keys."""
    if "bad" in key or (settings.keys and key not in settings.keys):
        return "bad"
    return "unfunded" if "quota" in key else "good"


def bearer(authorization: str) -> str:
    """The token of an `Authorization` header; empty if it is of another scheme."""
    scheme, _, token = authorization.partition(" ")
    return token.strip() if scheme.lower() == "bearer" else ""
