"""What billing answers to the other services. Amounts travel as decimal strings: they outgrow 2^53."""

from datetime import date, datetime
from typing import Annotated
from uuid import UUID

from msgspec import Meta

from aibridge_common.catalog import MultiplierTexts
from aibridge_common.structs import Command, Reply
from aibridge_common.usage import Multipliers, Usage

Amount = Annotated[str, Meta(pattern=r"^(0|[1-9][0-9]{0,18})$")]
"""Microtokens as a decimal string."""


class RateCard(Reply, frozen=True, kw_only=True, omit_defaults=True):
    """The multipliers of one model from `valid_from` on, until a higher version begins; rows never change."""

    model: str
    version: int
    valid_from: datetime
    multipliers: Multipliers


class SetPrice(MultiplierTexts, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """A model's multipliers as decimal strings, from `valid_from` on (now where it is not said).

    What is left out follows the vendors' usual ratios to input. A price that was to begin later is given up by this.
    """

    valid_from: datetime | None = None


class AcquireLease(Command, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Reserve a slice of an account's balance for one router worker.

    `lease_id` is made by the worker before the first send: sending the command again changes nothing. `request_waits`
    says that a request cannot begin without it: then one request's hold is granted where a lease is too much, and
    tokens that lie in other leases are recalled where even that is. `for_one` asks for the hold of a single request: as
    much of `want` as is free.
    """

    lease_id: UUID
    account_id: UUID
    holder: Annotated[str, Meta(min_length=1, max_length=200)]
    want_microtokens: Amount
    min_microtokens: Amount
    request_waits: bool = False
    for_one: bool = False


class Lease(Reply, frozen=True, kw_only=True, omit_defaults=True):
    """A granted slice; the worker counts `ttl_s` from the moment it sent the command.

    With `one_request` it is the hold of a single request: settling that closes it. `granted_microtokens` is all that it
    was granted since it was acquired.
    """

    lease_id: UUID
    granted_microtokens: Amount
    ttl_s: int
    one_request: bool = False


class ExtendLease(Command, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Let a lease grow until `granted_microtokens` were granted since it was acquired, or as far as the balance allows.

    The total is absolute, so that sending the command again changes nothing. It is refused below `min_microtokens`.
    """

    account_id: UUID
    granted_microtokens: Amount
    min_microtokens: Amount


class ReleaseLease(
    Command, frozen=True, kw_only=True, forbid_unknown_fields=True, omit_defaults=True
):
    """Give back all of a lease but `keep_microtokens`, which still cover running or unreported requests.

    `granted_microtokens` is the highest total that the worker asked for. What was granted beyond it is kept as well, so
    that a release that arrives late takes nothing from what was granted since.
    """

    keep_microtokens: Amount = "0"
    granted_microtokens: Amount | None = None


class Balance(Reply, frozen=True, kw_only=True, omit_defaults=True):
    """An account's tokens. `spendable` = `posted` - `reserved`."""

    account_id: UUID
    posted_microtokens: Amount = "0"
    reserved_microtokens: Amount = "0"
    spendable_microtokens: Amount = "0"
    debt_microtokens: Amount = "0"
    spent_microtokens: Amount = "0"
    spendable_tokens: str = "0"


class UsageRow(Reply, frozen=True, kw_only=True, omit_defaults=True):
    """One charged exchange."""

    request_id: str
    occurred_at: datetime
    key_id: UUID | None
    requested_model: str
    model: str
    provider: str
    usage: Usage
    charge_microtokens: Amount
    price_version: int
    usage_source: str
    outcome: str


class UsagePage(Reply, frozen=True, kw_only=True, omit_defaults=True):
    """Newest first; `next` is the cursor of the following page."""

    rows: list[UsageRow]
    next: str | None = None


class OwnKeyUsage(Reply, frozen=True, kw_only=True):
    """What was used of a model with the customer's own key in a day (UTC); nothing of it is charged."""

    day: date
    provider: str
    model: str
    requests: int
    input_tokens: str
    cached_tokens: str
    output_tokens: str


class ByKind(Reply, frozen=True, kw_only=True):
    """A decimal string for each kind of token."""

    input: str
    cache_read: str
    cache_write_5m: str
    cache_write_1h: str
    output: str
    reasoning: str


class ReceiptAttempt(Reply, frozen=True, kw_only=True):
    """One call of a provider. `own_key`: with the customer's own key, so that the provider charged the customer."""

    model: str
    provider: str
    ended: str
    took_ms: str
    own_key: bool


class ReceiptLot(Reply, frozen=True, kw_only=True):
    """What one paid order gave to a charge."""

    order_no: str
    microtokens: Amount


class Receipt(Reply, frozen=True, kw_only=True):
    """What one charge was made of. All but the two hashes is the document that is hashed, so nothing may be left out.

    Every number is a decimal string and `occurred_at` has six digits after the point: docs/reference/receipts.md.
    """

    account_id: str
    seq: str
    request_id: str
    event_id: str
    occurred_at: str
    endpoint: str
    stream: bool
    key_id: str | None
    requested_model: str
    billed_model: str
    provider: str
    attempts: list[ReceiptAttempt]
    reported: list[str]
    usage: ByKind
    usage_source: str
    outcome: str
    price_version: str
    multipliers: ByKind
    charge: ByKind
    charge_microtokens: Amount
    lots: list[ReceiptLot]
    debt_microtokens: Amount
    first_content_ms: str
    total_ms: str
    previous_hash: str
    hash: str


class RequestReceipts(Reply, frozen=True, kw_only=True):
    """The receipts of one request, one for each model that gave a part of its answer, and their sum."""

    request_id: str
    charge_microtokens: Amount
    receipts: list[Receipt]


class ReceiptPage(Reply, frozen=True, kw_only=True, omit_defaults=True):
    """Oldest first; `next` is the cursor of the following page."""

    receipts: list[Receipt]
    next: str | None = None


class AppliedRange(Reply, frozen=True, kw_only=True, omit_defaults=True):
    """Usage of one run that is settled or buried, by its sequence numbers; both ends included."""

    first: int
    last: int


class SpoolEpoch(Reply, frozen=True, kw_only=True, omit_defaults=True):
    """What of one run of a router is committed: ranges that do not touch, the lowest first."""

    epoch: int
    applied: list[AppliedRange]


class SpoolApplied(Reply, frozen=True, kw_only=True, omit_defaults=True):
    """What of a router's usage is committed. A segment below it may be deleted, and nothing else may."""

    router: str
    epochs: list[SpoolEpoch]


class UsageSum(Reply, frozen=True, kw_only=True, omit_defaults=True):
    """What was charged, by whatever was asked for: what was not is left out. Tokens as providers count them."""

    day: date | None = None
    model: str | None = None
    key_id: UUID | None = None
    requests: int
    input_tokens: str
    cached_tokens: str
    output_tokens: str
    charge_microtokens: Amount
