"""What billing answers about products, orders, payments, refunds and adjustments. Amounts are decimal strings."""

from datetime import date, datetime
from typing import Annotated, Any, Literal
from uuid import UUID

from msgspec import Meta

from aibridge_common.contracts.billing import Amount
from aibridge_common.structs import Command, Reply

PaymentProvider = Literal["sandbox", "manual", "stripe"]
OrderStatus = Literal["created", "paid", "part_refunded", "refunded", "failed", "charged_back"]
Title = Annotated[str, Meta(min_length=1, max_length=200)]
Tokens = Annotated[int, Meta(ge=0, le=1_000_000_000_000)]
Minor = Annotated[int, Meta(ge=0, le=10_000_000_000)]
Currency = Annotated[str, Meta(pattern=r"^[A-Z]{3}$", examples=["USD"])]
Reason = Annotated[str, Meta(min_length=1, max_length=1000, examples=["ticket 4711"])]
Reference = Annotated[str, Meta(min_length=1, max_length=200, pattern=r"^[ -~]+$")]


class PutProduct(Command, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """A token plan in whole; what is left out is as if nobody had ever said it. Orders keep their price."""

    title: Title
    title_zh: Annotated[str, Meta(max_length=200)] = ""
    tokens: Annotated[int, Meta(ge=1, le=1_000_000_000_000, examples=[10_000_000])]
    bonus_tokens: Tokens = 0
    price_minor: Annotated[Minor, Meta(examples=[1900])]
    currency: Currency
    active: bool = True


class ProductShown(Reply, frozen=True, kw_only=True):
    """A token plan; the price in the currency's minor unit."""

    id: str
    title: str
    title_zh: str
    tokens: str
    bonus_tokens: str
    price_minor: str
    currency: str
    active: bool


class PublicMultipliers(Reply, frozen=True, kw_only=True):
    """How many plan tokens one token of a model costs, by kind, as exact decimals."""

    model: str
    version: int
    valid_from: datetime
    input: str
    output: str
    cache_read: str
    cache_write_5m: str
    cache_write_1h: str
    reasoning: str


class CreateOrder(Command, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Buy a product; its price is the one of now, whatever the caller saw."""

    product_id: Annotated[str, Meta(min_length=1, max_length=120, examples=["plan-m"])]
    provider: PaymentProvider


class OrderShown(Reply, frozen=True, kw_only=True):
    """An order. `unused` is what is left of its tokens, `refundable` what of that could go back now."""

    number: str
    account_id: UUID
    product_id: str
    status: OrderStatus
    price_minor: str
    currency: str
    granted_microtokens: Amount
    unused_microtokens: Amount
    refunded_microtokens: Amount
    refunded_minor: str
    provider: str
    pay_url: str | None
    """Where to pay, while it is not paid; None where a transfer with the order's number is awaited."""
    created_at: datetime
    paid_at: datetime | None


class OrderPage(Reply, frozen=True, kw_only=True, omit_defaults=True):
    """Newest first; `next` is the cursor of the following page."""

    orders: list[OrderShown]
    next: str | None = None


class ConfirmTransfer(Command, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """A transfer for a `manual` order has arrived; amount and currency must be the order's."""

    amount_minor: Minor
    currency: Currency
    bank_reference: Reference
    actor: UUID


class AskQuote(Command, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """How much would go back; all that is unused where nothing is said."""

    microtokens: Amount | None = None


class RefundQuote(Reply, frozen=True, kw_only=True):
    """What a refund would give now, to the microtoken and to the minor unit."""

    microtokens: Amount
    money_minor: str
    currency: str


class RequestRefund(Command, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Give unused tokens back. `expect_money_minor` from the quote: 409 where it would be another sum by now."""

    microtokens: Amount | None = None
    expect_money_minor: Annotated[int, Meta(ge=0)] | None = None
    reason: Annotated[str, Meta(max_length=1000)] = ""
    actor: UUID


class EndRefund(Command, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """A person says how a `manual` refund ended: the money was sent, or could not be."""

    succeeded: bool
    bank_reference: Reference
    actor: UUID


class RefundShown(Reply, frozen=True, kw_only=True):
    """A refund; pending until the money is known to be on its way or not to go."""

    id: UUID
    order: str
    state: Literal["pending", "succeeded", "failed"]
    microtokens: Amount
    money_minor: str
    currency: str
    reason: str
    created_at: datetime
    ended_at: datetime | None


class RequestAdjustment(Command, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Give an account tokens, or take free ones. Beyond the operator's limit it waits for a second person."""

    microtokens: Annotated[str, Meta(pattern=r"^-?[1-9][0-9]{0,17}$", examples=["5000000"])]
    reason: Reason
    actor: UUID


class DecideAdjustment(Command, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """The second person's word."""

    approve: bool
    actor: UUID


class AdjustmentShown(Reply, frozen=True, kw_only=True):
    """An adjustment; `waiting` for a second person where it is large."""

    id: UUID
    account_id: UUID
    microtokens: str
    reason: str
    state: Literal["waiting", "done", "rejected"]
    actor: UUID
    second: UUID | None
    created_at: datetime


class SetAccountState(Command, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Whether an account may reserve tokens."""

    state: Literal["active", "suspended"]
    reason: Reason
    actor: UUID


class AccountStateShown(Reply, frozen=True, kw_only=True):
    """Whether an account may reserve tokens."""

    account_id: UUID
    state: Literal["active", "suspended", "closed"]


class UsageSummaryRow(Reply, frozen=True, kw_only=True):
    """What was used and charged of one group: a day (UTC), a model or a key."""

    day: date | None
    model: str | None
    key_id: UUID | None
    requests: int
    input_tokens: str
    cached_tokens: str
    output_tokens: str
    charge_microtokens: str


class AuditRow(Reply, frozen=True, kw_only=True):
    """Who did what. `caller` is the service that asked, `actor` the person for whom."""

    id: UUID
    at: datetime
    caller: str
    actor: UUID | None
    action: str
    subject: str
    detail: dict[str, Any]


class BillingAudit(Reply, frozen=True, kw_only=True, omit_defaults=True):
    """Newest first; `next` is the cursor of the following page."""

    rows: list[AuditRow]
    next: UUID | None = None
