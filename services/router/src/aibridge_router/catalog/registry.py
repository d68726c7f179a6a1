"""The catalogue in memory: what a request looks up. Replaced as a whole when a row changes."""

from msgspec import Struct

from aibridge_common.catalog import Model, Provider
from aibridge_common.contracts.billing import RateCard
from aibridge_common.dialect import Dialect
from aibridge_common.errors import ModelNotFound, Unavailable
from aibridge_common.settings import Secret


class Target(Struct, frozen=True, kw_only=True):
    """A model on its provider, ready to be called."""

    model: Model
    provider: Provider
    key: Secret
    card: RateCard

    @property
    def upstream_model(self) -> str:
        """What the provider calls the model."""
        return self.model.upstream_model or self.model.id

    def dialect_for(self, asked: Dialect) -> Dialect:
        """The dialect to speak to it: the one that was asked in if its provider speaks it, else the model's own."""
        if asked in self.provider.paths:
            return asked
        return self.model.dialect or next(iter(self.provider.paths))


class Registry:
    """An immutable snapshot."""

    def __init__(
        self,
        models: list[Model],
        providers: list[Provider],
        keys: dict[str, list[Secret]],
        cards: list[RateCard],
    ) -> None:
        self._names = {name: model for model in models for name in [model.id, *model.aliases]}
        self._providers = {provider.name: provider for provider in providers}
        self._keys = keys
        self._cards = {card.model: card for card in cards}
        self.models = models

    def find(self, name: str) -> Model:
        """The model behind an id or alias. Raises `ModelNotFound`."""
        model = self._names.get(name)
        if model is None:
            raise ModelNotFound(f"model: {name}", param="model")
        return model

    def provider_of(self, model: Model) -> Provider:
        """Who hosts the model."""
        return self._providers[model.provider]

    def target(self, name: str) -> Target:
        """Where a request for `name` goes.

        Raises `ModelNotFound`, and `Unavailable` when the operator has set no key or no price.
        """
        model = self.find(name)
        provider = self._providers[model.provider]
        keys = self._keys.get(provider.name)
        if not keys:
            name = provider.title or provider.name
            raise Unavailable(f"the operator has set no {name} key, so {model.id} cannot be served")
        card = self._cards.get(model.id)
        if card is None:
            raise Unavailable(f"{model.id} has no price, so it cannot be served")
        return Target(model=model, provider=provider, key=keys[0], card=card)
