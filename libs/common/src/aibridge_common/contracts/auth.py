"""What auth answers to the other services."""

from typing import Annotated
from uuid import UUID

from msgspec import Meta

from aibridge_common.limits import NO_LIMITS, KeyLimits
from aibridge_common.routing import DEFAULT, KeyRouting, RoutingOptions
from aibridge_common.structs import Command, Reply


class VerifyKey(Command, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Is this a live key, and whose?"""

    key: str


class KeyFacts(Reply, frozen=True, kw_only=True, omit_defaults=True):
    """What the gateway needs to know of a live key; never the key itself."""

    key_id: UUID
    account_id: UUID
    routing: RoutingOptions = DEFAULT
    """What a request with this key may ask for at most: the account's options and the key's together."""
    limits: KeyLimits | None = None
    """None where there are none, which costs nothing to look at."""


class KeyVerdict(Reply, frozen=True, kw_only=True, omit_defaults=True):
    """The answer to `VerifyKey`; no facts means the key must be refused, for `reason`."""

    facts: KeyFacts | None = None
    reason: str = ""


class SetAccountRouting(Command, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """The options of an account. All are given: one that was forgotten must not become a default."""

    failover: bool
    continuation: bool
    larger_context: bool

    @property
    def options(self) -> RoutingOptions:
        """The same, as it is kept."""
        return RoutingOptions(
            failover=self.failover,
            continuation=self.continuation,
            larger_context=self.larger_context,
        )


class SetKeyRouting(KeyRouting, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """The options of a key; what is left out follows the account."""


class SetKeyLimits(KeyLimits, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """The limits of a key; what is left out is not limited."""


class ChangeKeyLimits(Command, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Replace the limits of one of an account's keys."""

    account_id: UUID
    limits: SetKeyLimits


class RenameKey(Command, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Give one of an account's keys another name."""

    account_id: UUID
    name: str


class RotateKey(Command, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Make a key that replaces another, which goes on for `overlap_s`; 0 ends it at once."""

    account_id: UUID
    overlap_s: Annotated[int, Meta(ge=0, le=30 * 86_400)] = 86_400


class CreateKey(Command, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Make a key for an account."""

    account_id: UUID
    name: str
    routing: SetKeyRouting = SetKeyRouting()
    limits: SetKeyLimits = SetKeyLimits()


class IssuedKey(Reply, frozen=True, kw_only=True, omit_defaults=True):
    """A new key; `key` is shown this once and is not stored."""

    key_id: UUID
    key: str


class KeySummary(Reply, frozen=True, kw_only=True, omit_defaults=True):
    """A key as its owner may see it later."""

    key_id: UUID
    name: str
    hint: str
    routing: KeyRouting
    created_at: str
    limits: KeyLimits = NO_LIMITS
    replaced_by: UUID | None = None
    """The key that a rotation made; this one ends at `limits.expires_at`."""
    last_used_at: str | None = None
    revoked_at: str | None = None
