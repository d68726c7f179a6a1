"""Time-ordered ids (UUID version 7, RFC 9562 §5.7), made before the first send so that retries keep them."""

import os
import re
import time
from typing import NewType
from uuid import UUID

AccountId = NewType("AccountId", UUID)
KeyId = NewType("KeyId", UUID)
RequestId = NewType("RequestId", UUID)

_REQUEST_ID = re.compile("req_[0-9a-f]{32}")
_VERSION_7 = 0x7 << 76
_VARIANT = 0b10 << 62
_RAND_A_MASK = 0xFFF << 64
_RAND_B_MASK = (1 << 62) - 1


def uuid7() -> UUID:
    """A new id: 48 bits of milliseconds, then 74 random bits."""
    milliseconds = time.time_ns() // 1_000_000
    random = int.from_bytes(os.urandom(10))
    return UUID(
        int=(milliseconds & 0xFFFFFFFFFFFF) << 80
        | _VERSION_7
        | (random & _RAND_A_MASK)
        | _VARIANT
        | (random & _RAND_B_MASK)
    )


def public_request_id(request_id: UUID) -> str:
    """What a customer sees and quotes: `req_` and 32 hexadecimal digits."""
    return "req_" + request_id.hex


def parse_request_id(text: str) -> UUID:
    """The inverse of `public_request_id`; raises ValueError for anything else."""
    if _REQUEST_ID.fullmatch(text) is None:
        raise ValueError("a request id is req_ and 32 hexadecimal digits")
    return UUID(hex=text[4:])
