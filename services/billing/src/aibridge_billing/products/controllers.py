"""Token plans and the public price table, over HTTP."""

from litestar import Controller, delete, get, put
from litestar.di import NamedDependency
from litestar.params import FromPath, FromQuery, JSONBody
from msgspec import to_builtins

from aibridge_billing.pricing.store import rate_cards
from aibridge_billing.products.store import (
    NOT_FOR_SALE,
    archive_product,
    products,
    public_multipliers,
    save_product,
)
from aibridge_common.catalog import check_name
from aibridge_common.clock import SystemClock
from aibridge_common.contracts.products import (
    TOKENS_MAX,
    ProductShown,
    PublicMultipliers,
    PutProduct,
)
from aibridge_common.db.audit import record
from aibridge_common.db.engine import Database, transaction
from aibridge_common.errors import InvalidRequest, NotFound


class ProductController(Controller):
    """Token plans."""

    path, tags = "/v1", ["products"]

    @get("/products", operation_id="ListProducts")
    async def list_products(
        self, database: NamedDependency[Database], archived: FromQuery[bool] = False
    ) -> list[ProductShown]:
        """What is for sale, the cheapest first; with `archived=true` what no longer is, too."""
        async with transaction(database) as tx:
            return await products(tx, archived=archived)

    @put("/products/{product_id:str}", operation_id="PutProduct")
    async def put_product(
        self,
        product_id: FromPath[str],
        data: JSONBody[PutProduct],
        database: NamedDependency[Database],
        caller: NamedDependency[str],
    ) -> ProductShown:
        """Add a plan, or replace the one of that id in whole. Orders keep the price they were made at."""
        if check_name(product_id, "product_id") == NOT_FOR_SALE:
            raise InvalidRequest("this id cannot be a plan's", param="product_id")
        if data.tokens + data.bonus_tokens > TOKENS_MAX:
            raise InvalidRequest(
                f"a plan has at most {TOKENS_MAX} tokens, its bonus among them",
                param="bonus_tokens",
            )
        async with transaction(database) as tx:
            await save_product(tx, product_id, data)
            await record(tx, caller, "product.put", product_id, to_builtins(data))
            return next(one for one in await products(tx, archived=True) if one.id == product_id)

    @delete("/products/{product_id:str}", operation_id="ArchiveProduct")
    async def archive(
        self,
        product_id: FromPath[str],
        database: NamedDependency[Database],
        caller: NamedDependency[str],
    ) -> None:
        """Sell a plan no longer. Its orders stay as they are."""
        async with transaction(database) as tx:
            if not await archive_product(tx, product_id):
                raise NotFound("there is no such plan", param="product_id")
            await record(tx, caller, "product.archive", product_id, {})

    @get("/multipliers", operation_id="ListMultipliers")
    async def list_multipliers(
        self, database: NamedDependency[Database]
    ) -> list[PublicMultipliers]:
        """What is charged of each model now, in plan tokens per token, as exact decimals."""
        now = SystemClock().now()
        async with transaction(database) as tx:
            begun = [card for card in await rate_cards(tx) if card.valid_from <= now]
        return [public_multipliers(card) for card in {card.model: card for card in begun}.values()]
