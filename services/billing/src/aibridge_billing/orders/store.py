"""Orders: what was bought, at the price of that day."""

from uuid import UUID

from sqlalchemy import text

from aibridge_common.db.engine import Transaction


async def create_order(
    tx: Transaction, *, public_no: str, account_id: UUID, product_id: str, provider: str
) -> int:
    """An unpaid order at the product's current price; the same `public_no` again is the same order."""
    await tx.execute(
        text(
            "INSERT INTO purchase_order"
            " (public_no, account_id, product_id, price_minor, currency, grant_utok, provider)"
            " SELECT :no, :account, p.id, p.price_minor, p.currency, p.grant_utok, :provider"
            " FROM product p WHERE p.id = :product ON CONFLICT (public_no) DO NOTHING"
        ),
        {"no": public_no, "account": account_id, "product": product_id, "provider": provider},
    )
    row = await tx.execute(
        text("SELECT id FROM purchase_order WHERE public_no = :no"), {"no": public_no}
    )
    return int(row.scalar_one())


async def confirm_payment(tx: Transaction, order_id: int, provider: str, reference: str) -> bool:
    """Credit an order whose payment `provider` confirmed; False when it was credited before."""
    row = await tx.execute(
        text(
            "SELECT mark_paid(o.id, :provider, :reference, o.price_minor, o.currency)"
            " FROM purchase_order o WHERE o.id = :order"
        ),
        {"order": order_id, "provider": provider, "reference": reference},
    )
    return bool(row.scalar_one())
