"""The prices, for routers and for whoever shows them."""

from datetime import timedelta

from litestar import Controller, get, put
from litestar.di import NamedDependency
from litestar.params import FromPath, JSONBody
from msgspec import to_builtins

from aibridge_billing.pricing.store import put_multipliers, rate_cards
from aibridge_common.bus.nats import Bus
from aibridge_common.catalog import check_name
from aibridge_common.clock import SystemClock
from aibridge_common.contracts.billing import RateCard, SetPrice
from aibridge_common.db.audit import record
from aibridge_common.db.engine import Database, transaction
from aibridge_common.errors import InvalidRequest
from aibridge_common.events.changes import PRICES_CHANGED_SUBJECT
from aibridge_common.usage import Multipliers

LATER_MAX = timedelta(days=365)
_CLOCKS_DIFFER = timedelta(minutes=1)


class RateCardController(Controller):
    """Dated multipliers."""

    path, tags = "/v1/rate-cards", ["prices"]

    @get(operation_id="ListRateCards")
    async def list_rate_cards(self, database: NamedDependency[Database]) -> list[RateCard]:
        """Every version of every model's multipliers, in microtokens per provider token."""
        async with transaction(database) as tx:
            return await rate_cards(tx)

    @put("/{model:path}", operation_id="SetPrice")
    async def set_price(
        self,
        model: FromPath[str],
        data: JSONBody[SetPrice],
        database: NamedDependency[Database],
        bus: NamedDependency[Bus],
        caller: NamedDependency[str],
    ) -> RateCard:
        """Make this the newest version of a model's multipliers. What was sent before keeps its price."""
        name, multipliers = check_name(model.strip("/"), "model"), _multipliers(data)
        now = SystemClock().now()
        valid_from = data.valid_from or now
        if valid_from.tzinfo is None or not now - _CLOCKS_DIFFER <= valid_from <= now + LATER_MAX:
            raise InvalidRequest(
                "a price begins now or within a year, at a time with its offset", param="valid_from"
            )
        async with transaction(database) as tx:
            version = await put_multipliers(tx, name, multipliers, data.valid_from)
            await record(tx, caller, "price.set", name, to_builtins(data))
            cards = await rate_cards(tx)
        await bus.hint(PRICES_CHANGED_SUBJECT, b"")
        return next(card for card in cards if (card.model, card.version) == (name, version))


def _multipliers(data: SetPrice) -> Multipliers:
    try:
        return data.microtokens()
    except ValueError as error:
        raise InvalidRequest(str(error), param="multipliers") from None
