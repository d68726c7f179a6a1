"""The catalogue in memory: what a request looks up. Replaced as a whole when a row changes."""

from collections.abc import Iterator, Mapping, Sequence
from uuid import UUID

from msgspec import Struct, structs

from aibridge_common.catalog import Chain, Model, Provider, Routing, Sibling
from aibridge_common.contracts.billing import RateCard
from aibridge_common.contracts.router import OnFailure
from aibridge_common.dialect import Dialect
from aibridge_common.errors import Forbidden, ModelNotFound, Unavailable
from aibridge_common.settings import Secret
from aibridge_router.upstream.egress import WayOut


class UpstreamKey(Struct, frozen=True, kw_only=True):
    """One of the operator's keys at a provider; `id` is its row's, the same in every router."""

    id: UUID
    secret: Secret


class OwnKey(Struct, frozen=True, kw_only=True):
    """A customer's own key at a provider; the lowest `priority` is tried first."""

    id: UUID
    account_id: UUID
    provider: str
    secret: Secret
    priority: int
    on_failure: OnFailure


class Target(Struct, frozen=True, kw_only=True):
    """A model at one provider, with the keys and the price to call it."""

    model: Model
    provider: Provider
    upstream_model: str
    """What the provider calls the model."""
    own_dialect: Dialect
    keys: tuple[UpstreamKey, ...]
    card: RateCard

    def dialect_for(self, asked: Dialect) -> Dialect:
        """The dialect to speak to it: the one that was asked in if its provider speaks it, else the model's own."""
        return asked if asked in self.provider.paths else self.own_dialect


class Missing(Struct, frozen=True, kw_only=True):
    """A place of a chain that cannot be called, and why."""

    model: str
    provider: str
    reason: str


class ChainOfTargets(Struct, frozen=True, kw_only=True):
    """Who may serve a model, in order: itself, its siblings, then the same of each backup."""

    model: Model
    targets: tuple[Target, ...]
    missing: tuple[Missing, ...]
    hosts: tuple[Target, ...] = ()
    """Where the model itself is, also where the operator has no key: for customers' own."""


class Registry:
    """An immutable snapshot."""

    def __init__(
        self,
        models: list[Model],
        providers: list[Provider],
        keys: Mapping[str, Sequence[UpstreamKey]],
        cards: list[RateCard],
        *,
        chains: list[Chain] | None = None,
        egresses: list[WayOut] | None = None,
        routing: Routing | None = None,
        own_keys: Sequence[OwnKey] = (),
    ) -> None:
        self._names = {name: model for model in models for name in [model.id, *model.aliases]}
        self._providers = {provider.name: provider for provider in providers}
        self.providers: Mapping[str, Provider] = self._providers
        self._keys = {name: tuple(of_provider) for name, of_provider in keys.items()}
        self._cards = {card.model: card for card in cards}
        self._backups = {chain.model: chain.backups for chain in chains or ()}
        self.models = models
        self.routing = routing or Routing()
        self.egresses = tuple(egresses or ())
        self._own_keys: dict[UUID, list[OwnKey]] = {}
        for key in sorted(own_keys, key=lambda key: key.priority):
            self._own_keys.setdefault(key.account_id, []).append(key)
        self._chains = {model.id: self._resolve(model) for model in models}

    def own_keys(self, account_id: UUID) -> Sequence[OwnKey]:
        """A customer's own keys, in the order in which they are tried."""
        return self._own_keys.get(account_id, ())

    def find(self, name: str) -> Model:
        """The model behind an id or alias. Raises `ModelNotFound`."""
        model = self._names.get(name)
        if model is None:
            raise ModelNotFound(f"model: {name}", param="model")
        return model

    def provider_of(self, model: Model) -> Provider:
        """Who hosts the model."""
        return self._providers[model.provider]

    def chain(self, name: str, only: Sequence[str] | None = None) -> ChainOfTargets:
        """Who may serve a request for `name`, of the models that a key is limited to.

        Raises `ModelNotFound`, and `Forbidden` for a model that is not one of them.
        """
        chain = self._chains[self.find(name).id]
        if only is None:
            return chain
        allowed = self.ids_of(only)
        if chain.model.id not in allowed:
            raise Forbidden(
                f"this key may not use {chain.model.id}; it is limited to {', '.join(only)}",
                param="model",
            )
        targets = tuple(target for target in chain.targets if target.model.id in allowed)
        return structs.replace(chain, targets=targets)

    def ids_of(self, names: Sequence[str]) -> frozenset[str]:
        """The models behind ids and aliases; a name that is not known is passed over."""
        return frozenset(self._names[name].id for name in names if name in self._names)

    def target(self, name: str) -> Target:
        """The first that can serve the model itself.

        Raises `ModelNotFound`, and `Unavailable` when the operator has set no key or no price.
        """
        model = self.find(name)
        chain = self._chains[model.id]
        for target in chain.targets:
            if target.model is model:
                return target
        raise Unavailable(f"{chain.missing[0].reason}, so {model.id} cannot be served")

    def _resolve(self, model: Model) -> ChainOfTargets:
        backups = [self._names[name] for name in self._backups.get(model.id, ())]
        places = [place for one in [model, *backups] for place in self._places_of(one)]
        return ChainOfTargets(
            model=model,
            targets=tuple(place for place in places if isinstance(place, Target)),
            missing=tuple(place for place in places if isinstance(place, Missing)),
            hosts=tuple(self._hosts_of(model)),
        )

    def _hosts_of(self, model: Model) -> Iterator[Target]:
        card = self._cards.get(model.id)
        if card is not None:
            for host in self._siblings_of(model):
                yield self._target(model, host, card)

    def _siblings_of(self, model: Model) -> list[Sibling]:
        own = Sibling(
            provider=model.provider, upstream_model=model.upstream_model, dialect=model.dialect
        )
        return [own, *model.siblings]

    def _places_of(self, model: Model) -> list[Target | Missing]:
        return [self._place(model, host) for host in self._siblings_of(model)]

    def _place(self, model: Model, host: Sibling) -> Target | Missing:
        provider = self._providers[host.provider]
        title = provider.title or provider.name
        keys = self._keys.get(provider.name, ())
        card = self._cards.get(model.id)
        if not keys or card is None:
            reason = f"the operator has set no {title} key" if not keys else "it has no price"
            return Missing(model=model.id, provider=provider.name, reason=reason)
        return self._target(model, host, card)

    def _target(self, model: Model, host: Sibling, card: RateCard) -> Target:
        provider = self._providers[host.provider]
        return Target(
            model=model,
            provider=provider,
            upstream_model=host.upstream_model or model.id,
            own_dialect=host.dialect or next(iter(provider.paths)),
            keys=self._keys.get(provider.name, ()),
            card=card,
        )
