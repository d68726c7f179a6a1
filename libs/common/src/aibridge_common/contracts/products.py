"""What billing answers about what is for sale. Amounts are decimal strings."""

from datetime import datetime
from typing import Annotated

from msgspec import Meta

from aibridge_common.contracts.billing import ByKind
from aibridge_common.structs import Command, Reply

TOKENS_MAX = 1_000_000_000_000
Title = Annotated[str, Meta(min_length=1, max_length=200)]
Tokens = Annotated[int, Meta(ge=0, le=TOKENS_MAX)]
Minor = Annotated[int, Meta(ge=0, le=10_000_000_000)]
Currency = Annotated[str, Meta(max_length=3, pattern=r"^[A-Z]{3}$", examples=["USD"])]


class PutProduct(Command, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """A token plan in whole; what is left out is as if nobody had ever said it. Orders keep their price."""

    title: Title
    title_zh: Annotated[str, Meta(max_length=200)] = ""
    tokens: Annotated[int, Meta(ge=1, le=TOKENS_MAX, examples=[10_000_000])]
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
    multipliers: ByKind
