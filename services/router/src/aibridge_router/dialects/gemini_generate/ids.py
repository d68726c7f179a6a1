"""Ids at Google: `responseId` is 22 characters of base64, ids of calls are free and optional."""

import base64
import hashlib
import re

from aibridge_router.canonical.codec import AnswerContext

_RESPONSE_ID = re.compile(r"(?!msg_|resp_|chatcmpl-)[A-Za-z0-9_-]{20,24}")


def response_id(identifier: str, context: AnswerContext) -> str:
    """The vendor's id where it has Google's form, else one that follows from our request's."""
    if _RESPONSE_ID.fullmatch(identifier) is not None:
        return identifier
    digest = hashlib.sha256(context.request_id.encode()).digest()
    return base64.urlsafe_b64encode(digest).decode()[:22]


def call_id(response: str, number: int) -> str:
    """An id for a call that Google gave none: no two answers share one, and a repeated reading finds the same."""
    digest = hashlib.sha256(f"{response}:{number}".encode()).hexdigest()
    return f"call_{digest[:24]}"
