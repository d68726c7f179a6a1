"""All rate cards in memory, for pricing a batch without a query per event."""

from aibridge_billing.pricing.store import rate_cards
from aibridge_common.db.engine import Database, transaction
from aibridge_common.errors import AIBridgeError
from aibridge_common.events.usage import UsageRecorded
from aibridge_common.usage import Multipliers, charge_microtokens


class NoRate(AIBridgeError):
    """An event names a price that does not exist; it cannot be charged by guessing."""

    code, status = "no_rate", 500


class PriceBook:
    """Prices by model and version. Versions never change, so what is loaded stays true."""

    def __init__(self, database: Database) -> None:
        self._database = database
        self._cards: dict[tuple[str, int], Multipliers] = {}

    async def price(self, event: UsageRecorded) -> int:
        """Microtokens for one exchange. Raises `NoRate` or `ImplausibleUsage`."""
        name = (event.billed_model, event.price_version)
        if name not in self._cards:
            await self._load()
        multipliers = self._cards.get(name)
        if multipliers is None:
            raise NoRate(f"{event.billed_model} has no price version {event.price_version}")
        return charge_microtokens(event.usage, multipliers)

    async def _load(self) -> None:
        async with transaction(self._database) as tx:
            self._cards = {
                (card.model, card.version): card.multipliers for card in await rate_cards(tx)
            }
