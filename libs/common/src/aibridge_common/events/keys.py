"""What auth tells the gateways about keys."""

from uuid import UUID

from aibridge_common.structs import Event

CHANGED_SUBJECT = "auth.v1.keys"
HEARTBEAT_SUBJECT = "auth.v1.heartbeat"
HEARTBEAT_EVERY_S = 5.0


class KeysChanged(Event, frozen=True, kw_only=True, tag_field="type", tag="auth.keys.v1"):
    """What was said of a key, or with `key_id` None of every key of the account, is no longer true: ask again.

    It was revoked, or its options are others; the notice does not say which, so that whoever hears it cannot act on
    half of the truth.
    """

    sequence: int
    account_id: UUID
    key_id: UUID | None = None


class AuthHeartbeat(Event, frozen=True, kw_only=True, tag_field="type", tag="auth.heartbeat.v1"):
    """Auth lives; `sequence` is the newest change, so that a missed one is noticed."""

    sequence: int
