"""Orders: what was bought, at the price of that day."""

from typing import Any
from uuid import UUID

from msgspec import Struct
from sqlalchemy import RowMapping, text

from aibridge_billing.orders.numbers import new_number
from aibridge_common.contracts.orders import OrderShown, OrderStatus, RefundShown, RefundState
from aibridge_common.db.engine import Transaction
from aibridge_common.errors import Conflict, NotFound

STATUSES: tuple[OrderStatus, ...] = (
    "created",
    "paid",
    "part_refunded",
    "refunded",
    "failed",
    "charged_back",
)
REFUND_STATES: tuple[RefundState, ...] = ("pending", "succeeded", "failed")
UNPAID_MAX = 20
"""How many unpaid orders an account may have."""

_NUMBERS_TRIED = 5


class Order(Struct, frozen=True, kw_only=True):
    """An order as payments and refunds need it."""

    id: int
    number: str
    account_id: UUID
    title: str
    status: OrderStatus
    price_minor: int
    currency: str
    provider: str
    provider_ref: str | None
    checkout_ref: str | None
    pay_url: str | None

    @property
    def may_be_paid(self) -> bool:
        """Whether a payment would be credited: one that was given up is, too, since the money is there."""
        return self.status in ("created", "failed")


async def create_order(
    tx: Transaction, *, public_no: str, account_id: UUID, product_id: str, provider: str
) -> int | None:
    """An unpaid order at the product's current price; None when the number is taken."""
    row = await tx.execute(
        text(
            "INSERT INTO purchase_order"
            " (public_no, account_id, product_id, price_minor, currency, grant_utok, provider)"
            " SELECT :no, :account, p.id, p.price_minor, p.currency, p.grant_utok, :provider"
            " FROM product p WHERE p.id = :product ON CONFLICT (public_no) DO NOTHING RETURNING id"
        ),
        {"no": public_no, "account": account_id, "product": product_id, "provider": provider},
    )
    return row.scalar_one_or_none()


async def order_for_sale(
    tx: Transaction, *, account_id: UUID, product_id: str, provider: str
) -> str:
    """The number of a new order of a plan on sale. Raises `NotFound`, `Conflict` for an account that may not buy."""
    account = await tx.execute(
        text(
            "SELECT status,"
            " (SELECT count(*) FROM purchase_order o WHERE o.account_id = a.id AND o.status = 0) AS unpaid"
            " FROM account a WHERE id = :id FOR UPDATE"
        ),
        {"id": account_id},
    )
    found = account.one()
    if found.status == 3:
        raise Conflict("this account is closed", param="account_id")
    if found.unpaid >= UNPAID_MAX:
        raise Conflict(
            f"this account has {UNPAID_MAX} unpaid orders; pay one of them, or wait until they end",
            param="account_id",
        )
    sold = await tx.execute(
        text("SELECT 1 FROM product WHERE id = :id AND active FOR SHARE"), {"id": product_id}
    )
    if sold.one_or_none() is None:
        raise NotFound("no such plan is for sale", param="product_id")
    for _ in range(_NUMBERS_TRIED):
        number = new_number()
        made = await create_order(
            tx, public_no=number, account_id=account_id, product_id=product_id, provider=provider
        )
        if made is not None:
            return number
    raise RuntimeError("every order number drawn was taken")


_ORDER = (
    "SELECT o.id, o.public_no AS number, o.account_id, p.title, o.status, o.price_minor, o.currency, o.provider,"
    " o.provider_ref, o.checkout_ref, o.pay_url FROM purchase_order o JOIN product p ON p.id = o.product_id"
)


async def find_order(
    tx: Transaction, number: str, account_id: UUID | None = None, *, lock: bool = False
) -> Order:
    """The order of this number, of this account where one is named. Raises `NotFound`."""
    rows = await tx.execute(
        text(_ORDER + " WHERE o.public_no = :number" + (" FOR UPDATE OF o" if lock else "")),
        {"number": number},
    )
    order = _order(rows.mappings().one_or_none())
    if order is None or account_id not in (None, order.account_id):
        raise NotFound("there is no such order", param="number")
    return order


async def order_paid_by(tx: Transaction, provider: str, reference: str) -> Order | None:
    """The order that this payment paid."""
    rows = await tx.execute(
        text(_ORDER + " WHERE o.provider = :provider AND o.provider_ref = :reference"),
        {"provider": provider, "reference": reference},
    )
    return _order(rows.mappings().one_or_none())


async def orders_waiting(
    tx: Transaction, provider: str, older_than_s: float, limit: int = 100
) -> list[Order]:
    """Unpaid orders of a provider that have waited long, the oldest first."""
    rows = await tx.execute(
        text(
            _ORDER + " WHERE o.status = 0 AND o.provider = :provider"
            " AND o.created_at < now() - make_interval(secs => :age) ORDER BY o.created_at LIMIT :limit"
        ),
        {"provider": provider, "age": older_than_s, "limit": limit},
    )
    return [order for row in rows.mappings() if (order := _order(row)) is not None]


async def keep_checkout(
    tx: Transaction, order_id: int, reference: str | None, pay_url: str | None
) -> None:
    """Where this order is paid."""
    await tx.execute(
        text(
            "UPDATE purchase_order SET checkout_ref = :reference, pay_url = :url WHERE id = :id AND status = 0"
        ),
        {"id": order_id, "reference": reference, "url": pay_url},
    )


async def give_up(tx: Transaction, order_id: int) -> bool:
    """Whether the order was unpaid; it waits for no payment any more."""
    row = await tx.execute(
        text(
            "UPDATE purchase_order SET status = 4, failed_at = now() WHERE id = :id AND status = 0 RETURNING id"
        ),
        {"id": order_id},
    )
    return row.one_or_none() is not None


async def confirm_payment(
    tx: Transaction,
    order_id: int,
    *,
    provider: str,
    reference: str,
    amount_minor: int,
    currency: str,
) -> bool:
    """Credit an order for what `provider` says was paid; False when it was credited before.

    Raises a database error when that is not what the order costs.
    """
    row = await tx.execute(
        text("SELECT mark_paid(:order, :provider, :reference, :minor, CAST(:currency AS char(3)))"),
        {
            "order": order_id,
            "provider": provider,
            "reference": reference,
            "minor": amount_minor,
            "currency": currency,
        },
    )
    return bool(row.scalar_one())


_SHOWN = (
    "SELECT o.id, o.public_no, o.account_id, o.product_id, o.status, o.price_minor, o.currency, o.grant_utok,"
    " coalesce(l.consumed_utok, 0) AS consumed, coalesce(l.refunded_utok, 0) AS refunded, o.provider,"
    " CASE WHEN o.status = 0 THEN o.pay_url END AS pay_url, o.created_at, o.paid_at"
    " FROM purchase_order o LEFT JOIN lot l ON l.order_id = o.id"
)


async def show_order(tx: Transaction, number: str, account_id: UUID | None = None) -> OrderShown:
    """An order with its refunds. Raises `NotFound`."""
    rows = await tx.execute(text(_SHOWN + " WHERE o.public_no = :number"), {"number": number})
    found = rows.mappings().one_or_none()
    if found is None or account_id not in (None, found["account_id"]):
        raise NotFound("there is no such order", param="number")
    return (await _shown(tx, [found]))[0]


async def list_orders(
    tx: Transaction, account_id: UUID, limit: int, before: str | None
) -> list[OrderShown]:
    """The account's orders, newest first, those before `before`. Raises `NotFound` for another account's cursor."""
    last = (await find_order(tx, before, account_id)).id if before is not None else 2**63 - 1
    rows = await tx.execute(
        text(
            _SHOWN
            + " WHERE o.account_id = :account AND o.id < :last ORDER BY o.id DESC LIMIT :limit"
        ),
        {"account": account_id, "last": last, "limit": limit},
    )
    return await _shown(tx, list(rows.mappings()))


async def _shown(tx: Transaction, orders: list[RowMapping]) -> list[OrderShown]:
    rows = await tx.execute(
        text(
            "SELECT r.id, r.order_id, o.public_no AS number, r.utok, r.money_minor, o.currency, r.state, r.reason,"
            " r.requested_by, r.created_at, r.ended_at FROM refund r JOIN purchase_order o ON o.id = r.order_id"
            " WHERE r.order_id = ANY(CAST(:orders AS bigint[])) ORDER BY r.created_at"
        ),
        {"orders": [order["id"] for order in orders]},
    )
    refunds: dict[int, list[RefundShown]] = {}
    for row in rows.mappings():
        refunds.setdefault(row["order_id"], []).append(refund_shown(row))
    return [
        OrderShown(
            number=order["public_no"],
            account_id=order["account_id"],
            product_id=order["product_id"],
            status=STATUSES[order["status"]],
            price_minor=str(order["price_minor"]),
            currency=order["currency"],
            granted_microtokens=str(order["grant_utok"]),
            consumed_microtokens=str(order["consumed"]),
            refunded_microtokens=str(order["refunded"]),
            provider=order["provider"],
            pay_url=order["pay_url"],
            created_at=order["created_at"],
            paid_at=order["paid_at"],
            refunds=refunds.get(order["id"], []),
        )
        for order in orders
    ]


def refund_shown(row: RowMapping) -> RefundShown:
    """A refund's row with its order's number and currency."""
    return RefundShown(
        id=row["id"],
        order=row["number"],
        microtokens=str(row["utok"]),
        money_minor=str(row["money_minor"]),
        currency=row["currency"],
        state=REFUND_STATES[row["state"]],
        reason=row["reason"],
        requested_by=row["requested_by"],
        created_at=row["created_at"],
        ended_at=row["ended_at"],
    )


def _order(row: RowMapping | None) -> Order | None:
    if row is None:
        return None
    values: dict[str, Any] = dict(row)
    return Order(**values | {"status": STATUSES[row["status"]]})
