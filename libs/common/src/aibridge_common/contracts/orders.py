"""What billing answers about orders, payments, refunds, adjustments and accounts. Amounts are decimal strings."""

from datetime import datetime
from typing import Annotated, Literal
from uuid import UUID

from msgspec import Meta

from aibridge_common.contracts.billing import Amount
from aibridge_common.contracts.products import Currency
from aibridge_common.structs import Command, Reply

OrderNumber = Annotated[str, Meta(examples=["AB-7K3M-9QXT"])]
Reference = Annotated[str, Meta(pattern=r"^[\x21-\x7e]([\x20-\x7e]{0,198}[\x21-\x7e])?$")]
Reason = Annotated[str, Meta(min_length=1, max_length=1000, pattern=r"^[^\x00]*$")]
Money = Annotated[int, Meta(ge=0, le=10_000_000_000, examples=[1900])]
"""In the currency's minor unit."""

OrderStatus = Literal["created", "paid", "part_refunded", "refunded", "failed", "charged_back"]
RefundState = Literal["pending", "succeeded", "failed"]
AdjustmentState = Literal["waiting", "done", "rejected"]
AccountStatus = Literal["active", "suspended", "closed"]


class CreateOrder(Command, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Buy a plan at its price of now, to be paid with one of the configured payment providers."""

    product_id: Annotated[str, Meta(min_length=1, max_length=200, pattern=r"^[^\x00]*$")]
    provider: Annotated[str, Meta(examples=["sandbox"])]


class RefundShown(Reply, frozen=True, kw_only=True):
    """Unused tokens of an order on their way back; `money_minor` goes to the payment they came from."""

    id: UUID
    order: OrderNumber
    microtokens: Amount
    money_minor: str
    currency: str
    state: RefundState
    reason: str
    requested_by: UUID | None
    created_at: datetime
    ended_at: datetime | None


class OrderShown(Reply, frozen=True, kw_only=True):
    """A purchase. `pay_url` is where it is paid, as long as it can be; `granted` counts once it is paid."""

    number: OrderNumber
    account_id: UUID
    product_id: str
    status: OrderStatus
    price_minor: str
    currency: str
    granted_microtokens: Amount
    consumed_microtokens: Amount
    refunded_microtokens: Amount
    provider: str
    pay_url: str | None
    created_at: datetime
    paid_at: datetime | None
    refunds: list[RefundShown]


class OrderPage(Reply, frozen=True, kw_only=True, omit_defaults=True):
    """Newest first; `next` is the cursor of the following page."""

    rows: list[OrderShown]
    next: OrderNumber | None = None


class ConfirmTransfer(Command, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """A person saw this money on the bank's statement; a reference counts for one order."""

    bank_reference: Reference
    amount_minor: Money
    currency: Currency
    actor: UUID


class RefundQuote(Reply, frozen=True, kw_only=True):
    """What a refund would give back now, to the microtoken; what requests hold may follow when they ended."""

    order: OrderNumber
    microtokens: Amount
    money_minor: str
    currency: str
    unused_microtokens: Amount
    held_microtokens: Amount


class AskRefund(Command, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Refund unused tokens of an order: all of them, or `microtokens`.

    With `expect_money_minor`, as a quote said it, it is refused should it have become another amount.
    """

    reason: Reason
    requested_by: UUID
    microtokens: Amount | None = None
    expect_money_minor: Money | None = None


class EndRefund(Command, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """A person sent the money back by transfer, or could not."""

    succeeded: bool
    bank_reference: Reference
    actor: UUID


class Adjust(Command, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Give an account tokens, or take some with a minus. Above the limit it waits for a second person."""

    microtokens: Annotated[
        str, Meta(pattern=r"^-?[1-9][0-9]{0,18}$", examples=["5000000000", "-1000000"])
    ]
    reason: Reason
    actor: UUID


class Decide(Command, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """The second person's signature under an adjustment that waits, or a refusal."""

    approve: bool
    actor: UUID


class AdjustmentShown(Reply, frozen=True, kw_only=True):
    """Tokens given or taken by hand. `order` is the number of the lot that given tokens became."""

    id: UUID
    account_id: UUID
    microtokens: str
    reason: str
    state: AdjustmentState
    actor: UUID
    second: UUID | None
    order: OrderNumber | None
    created_at: datetime
    decided_at: datetime | None


class SetAccountStatus(Command, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Whether an account may spend: `active` only. A closed account buys nothing either."""

    status: AccountStatus
    reason: Reason
    actor: UUID


class AccountShown(Reply, frozen=True, kw_only=True):
    """Whether an account may spend."""

    account_id: UUID
    status: AccountStatus
    debt_microtokens: Amount


class PaymentAlert(Reply, frozen=True, kw_only=True):
    """A notice of a payment that fits no order: it waits for a person."""

    id: str
    provider: str
    reference: str
    order: str | None
    reason: str
    at: datetime
