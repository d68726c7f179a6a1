"""What is for sale."""

from sqlalchemy import text

from aibridge_common.catalog import Product
from aibridge_common.db.engine import Transaction


async def put_product(tx: Transaction, product: Product) -> None:
    """Add or change a product; orders keep the price they were made at."""
    await tx.execute(
        text(
            "INSERT INTO product (id, title, grant_utok, price_minor, currency)"
            " VALUES (:id, :title, :grant, :price, :currency)"
            " ON CONFLICT (id) DO UPDATE SET title = excluded.title, grant_utok = excluded.grant_utok,"
            " price_minor = excluded.price_minor, currency = excluded.currency"
        ),
        {
            "id": product.id,
            "title": product.title,
            "grant": product.grant_microtokens,
            "price": product.price_minor,
            "currency": product.currency,
        },
    )
