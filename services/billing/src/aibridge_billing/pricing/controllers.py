"""The prices, for routers and for whoever shows them."""

from litestar import Controller, get
from litestar.di import NamedDependency

from aibridge_billing.pricing.store import rate_cards
from aibridge_common.contracts.billing import RateCard
from aibridge_common.db.engine import Database, transaction


class RateCardController(Controller):
    """Dated multipliers."""

    path, tags = "/v1/rate-cards", ["prices"]

    @get(operation_id="ListRateCards")
    async def list_rate_cards(self, database: NamedDependency[Database]) -> list[RateCard]:
        """Every version of every model's multipliers, in microtokens per provider token."""
        async with transaction(database) as tx:
            return await rate_cards(tx)
