"""What auth tells the gateways about keys."""

from uuid import UUID

from aibridge_common.structs import Event

REVOKED_SUBJECT = "auth.v1.revoked"
HEARTBEAT_SUBJECT = "auth.v1.heartbeat"
HEARTBEAT_EVERY_S = 5.0


class KeyRevoked(Event, frozen=True, kw_only=True, tag_field="type", tag="auth.revoked.v1"):
    """A key, or with `key_id` None every key of the account, stopped being valid."""

    sequence: int
    account_id: UUID
    key_id: UUID | None = None


class AuthHeartbeat(Event, frozen=True, kw_only=True, tag_field="type", tag="auth.heartbeat.v1"):
    """Auth lives; `sequence` is the newest revocation, so that a missed one is noticed."""

    sequence: int
