"""What is for sale."""

from decimal import Decimal

from sqlalchemy import text

from aibridge_common.catalog import Product
from aibridge_common.contracts.billing import ByKind, RateCard
from aibridge_common.contracts.products import ProductShown, PublicMultipliers, PutProduct
from aibridge_common.db.engine import Transaction
from aibridge_common.usage import MICROTOKENS_PER_TOKEN

NOT_FOR_SALE = "adjustment"
"""The product behind lots that nobody bought."""


async def put_product(tx: Transaction, product: Product) -> None:
    """Add a product of a catalogue file, or change what the file says of it; orders keep their price."""
    await tx.execute(
        text(
            "INSERT INTO product (id, title, grant_utok, price_minor, currency)"
            " VALUES (:id, :title, :grant, :price, :currency)"
            " ON CONFLICT (id) DO UPDATE SET title = excluded.title,"
            " grant_utok = excluded.grant_utok + product.bonus_utok,"
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


async def save_product(tx: Transaction, product_id: str, product: PutProduct) -> None:
    """Add a product, or make the one of that id this."""
    await tx.execute(
        text(
            "INSERT INTO product (id, title, title_zh, grant_utok, bonus_utok, price_minor, currency, active)"
            " VALUES (:id, :title, :title_zh, :grant, :bonus, :price, :currency, :active)"
            " ON CONFLICT (id) DO UPDATE SET title = excluded.title, title_zh = excluded.title_zh,"
            " grant_utok = excluded.grant_utok, bonus_utok = excluded.bonus_utok,"
            " price_minor = excluded.price_minor, currency = excluded.currency, active = excluded.active"
        ),
        {
            "id": product_id,
            "title": product.title,
            "title_zh": product.title_zh,
            "grant": (product.tokens + product.bonus_tokens) * MICROTOKENS_PER_TOKEN,
            "bonus": product.bonus_tokens * MICROTOKENS_PER_TOKEN,
            "price": product.price_minor,
            "currency": product.currency,
            "active": product.active,
        },
    )


async def archive_product(tx: Transaction, product_id: str) -> bool:
    """Whether there is such a product; it is no longer for sale."""
    row = await tx.execute(
        text("UPDATE product SET active = false WHERE id = :id AND id <> :none RETURNING id"),
        {"id": product_id, "none": NOT_FOR_SALE},
    )
    return row.one_or_none() is not None


async def products(tx: Transaction, *, archived: bool = False) -> list[ProductShown]:
    """What is for sale, the cheapest first; with `archived` what no longer is, too."""
    rows = await tx.execute(
        text(
            "SELECT id, title, title_zh, grant_utok - bonus_utok AS plain, bonus_utok, price_minor, currency, active"
            " FROM product WHERE id <> :none AND (active OR :archived) ORDER BY currency, price_minor, id"
        ),
        {"archived": archived, "none": NOT_FOR_SALE},
    )
    return [
        ProductShown(
            id=row.id,
            title=row.title,
            title_zh=row.title_zh,
            tokens=str(row.plain // MICROTOKENS_PER_TOKEN),
            bonus_tokens=str(row.bonus_utok // MICROTOKENS_PER_TOKEN),
            price_minor=str(row.price_minor),
            currency=row.currency,
            active=row.active,
        )
        for row in rows
    ]


def public_multipliers(card: RateCard) -> PublicMultipliers:
    """A rate card as customers read it."""
    rates = card.multipliers
    return PublicMultipliers(
        model=card.model,
        version=card.version,
        valid_from=card.valid_from,
        multipliers=ByKind(
            **{name: _decimal(getattr(rates, name)) for name in rates.__struct_fields__}
        ),
    )


def _decimal(microtokens: int) -> str:
    return f"{(Decimal(microtokens) / MICROTOKENS_PER_TOKEN).normalize():f}"
