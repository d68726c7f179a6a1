"""What the spool writes about one exchange. Fields may be added with a default; none changes its meaning."""

from datetime import datetime
from typing import Any
from uuid import UUID

import msgspec
from msgspec import UNSET, Struct, UnsetType

from aibridge_common.usage import Usage


class Start(Struct, frozen=True, kw_only=True, tag_field="type", tag="start"):
    """An exchange is about to ask a vendor. Says enough to charge it should this process die."""

    request_id: UUID
    account_id: UUID
    key_id: UUID | None
    lease_id: UUID | None
    hold_microtokens: int
    requested_model: str
    model: str
    provider: str
    price_version: int
    input_tokens_estimate: int
    endpoint: str
    stream: bool
    at: datetime
    own_key: bool = False


class Progress(Struct, frozen=True, kw_only=True, tag_field="type", tag="progress"):
    """How far it is, and who answers. The newest one counts."""

    request_id: UUID
    model: str
    provider: str
    price_version: int
    usage: Usage | None
    """What the vendor reported so far."""
    output_tokens_estimate: int
    """What was passed on so far; 0 before the first content."""


class Final(Struct, frozen=True, kw_only=True, tag_field="type", tag="final"):
    """It ended. Without an event there is nothing to charge, and no number is used."""

    request_id: UUID
    sequence: int = 0
    event: bytes | UnsetType = UNSET
    """A `UsageRecorded` as the JSON that is sent: what is on the disk is what billing gets."""


Record = Start | Progress | Final

encode = msgspec.msgpack.Encoder(uuid_format="bytes").encode
decode = msgspec.msgpack.Decoder(Record).decode
encode_event = msgspec.json.Encoder().encode

_FINAL = b"\xa4type\xa5final"


def is_final(record: bytes) -> bool:
    """Whether this is a `Final`, without decoding it: the tag is the first field of the map."""
    return record.startswith(_FINAL, 1)


def document(event: bytes) -> Any:
    """An event for an envelope, as it stands."""
    return msgspec.Raw(event)
