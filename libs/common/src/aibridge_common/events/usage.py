"""The usage events that the router publishes and billing settles."""

from datetime import datetime
from enum import IntEnum
from uuid import UUID

from msgspec import Raw, Struct

from aibridge_common.structs import Event
from aibridge_common.usage import Usage

SUBJECT = "usage.v1"
"""Envelopes go to `usage.v1.<router>`."""

STREAM = "USAGE"

APPLIED_SUBJECT = "usage.applied"
"""Billing tells `usage.applied.<router>` after a commit that there is something to ask about."""


class UsageSource(IntEnum):
    """Where the token counts come from."""

    FINAL = 1
    PARTIAL = 2
    ESTIMATED = 3
    NONE = 4


class Outcome(IntEnum):
    """How the exchange ended."""

    COMPLETED = 1
    CLIENT_GONE = 2
    UPSTREAM_CUT = 3
    UPSTREAM_ERROR = 4
    RECOVERED = 5
    HOLD_SPENT = 6
    """A stream was ended because what it held was used up and no more was to be had."""


ANSWERED = "answered"
"""How an attempt ended that gave an answer, whole or not; any other word is the class of its failure."""


class AttemptRecorded(Struct, frozen=True, kw_only=True, omit_defaults=True):
    """One call of a provider for an exchange. `ended` is `ANSWERED` or the class of its failure."""

    model: str
    provider: str
    ended: str
    took_ms: int
    own_key: bool = False
    """Whether the customer's own key was used, so that the provider charged the customer."""


class UsageRecorded(Struct, frozen=True, kw_only=True, omit_defaults=True):
    """One exchange that ended; `event_id` is its request id, so that it is charged at most once.

    An answer that a second model continued has an event for each; `request_id` names the request on the later ones.
    """

    event_id: UUID
    account_id: UUID
    key_id: UUID | None
    lease_id: UUID | None
    requested_model: str
    billed_model: str
    provider: str
    price_version: int
    usage: Usage
    source: UsageSource
    outcome: Outcome
    occurred_at: datetime
    endpoint: str = ""
    stream: bool = False
    first_content_ms: int = 0
    total_ms: int = 0
    request_id: UUID | None = None
    attempts: list[AttemptRecorded] = []
    """Every call that was made, in order; the last one is what is charged."""
    reported: list[Raw] = []
    """The provider's own usage objects, as they came: the first and the last."""
    own_key: bool = False
    """Whether the customer's own key was used: it is counted on its own, and nothing is charged."""
    doubt: str | None = None
    """Why its counts are not believed: it is kept for people to look at, and not charged."""


class UsageEnvelope(Event, frozen=True, kw_only=True, tag_field="type", tag="usage.recorded.v1"):
    """Consecutive events of one router run: `first`..`last` are its own sequence numbers."""

    router: str
    epoch: int
    first: int
    last: int
    events: list[UsageRecorded]
