"""What can be routed to: providers, the operator's keys there, and models."""

from typing import TypeVar
from uuid import UUID

import msgspec
from msgspec import Struct
from msgspec.structs import asdict, replace

from aibridge_common.catalog import InvalidCatalog, Model, Provider, check_catalog
from aibridge_common.contracts.router import (
    AddUpstreamKey,
    ModelShown,
    ProviderShown,
    PutModel,
    PutProvider,
    UpstreamKeyShown,
)
from aibridge_common.db.engine import transaction
from aibridge_common.errors import NotFound
from aibridge_common.settings import Secret
from aibridge_common.transport import Origin
from aibridge_router.api.admin.draft import Drafts, named
from aibridge_router.catalog.keys import add_key, delete_key, keys_shown, use_key
from aibridge_router.catalog.store import delete_model, delete_provider, put_model, put_provider
from aibridge_router.upstream.key_check import KeyChecker, checks
from aibridge_router.upstream.public import addresses_of, is_public

HTTPS_PORT = 443
Row = TypeVar("Row", bound=Struct)


class CatalogueAdministration:
    """As with routing: a change that breaks a rule raises `InvalidCatalog` or `NotFound` and changes nothing.

    Without `private_providers` a provider is at a public https address: what operators type must not make routers
    call into their own network.
    """

    def __init__(self, drafts: Drafts, checker: KeyChecker, *, private_providers: bool) -> None:
        self._drafts = drafts
        self._checker = checker
        self._private_providers = private_providers

    async def providers(self) -> list[ProviderShown]:
        """Every provider, by name."""
        keys = await self.keys()
        active = [key.provider for key in keys if key.active]
        return [
            _provider(provider, active.count(provider.name))
            for provider in (await self._drafts.read()).providers
        ]

    async def put_provider(self, caller: str, name: str, command: PutProvider) -> ProviderShown:
        """Add a provider, or make the one of that name this."""
        provider = _of(Provider, "providers.name", command, name=name)
        origin = _origin(provider.base_url)
        if not self._private_providers:
            await _check_public(origin)
        async with self._drafts.changing(caller) as draft:
            others = [one for one in draft.catalog.providers if one.name != name]
            check_catalog(replace(draft.catalog, providers=[*others, provider]))
            await put_provider(draft.tx, provider)
            active = [key for key in await keys_shown(draft.tx) if key.active]
            await draft.note("provider.put", name, {"base_url": provider.base_url})
        return _provider(provider, sum(key.provider == name for key in active))

    async def delete_provider(self, caller: str, name: str) -> None:
        """Remove a provider that hosts no model, with all keys for it, customers' own as well."""
        async with self._drafts.changing(caller) as draft:
            named("provider", name, [one.name for one in draft.catalog.providers])
            others = [one for one in draft.catalog.providers if one.name != name]
            check_catalog(replace(draft.catalog, providers=others))
            await delete_provider(draft.tx, name)
            await draft.note("provider.delete", name, {})

    async def keys(self) -> list[UpstreamKeyShown]:
        """Every key of the operator, by provider."""
        async with transaction(self._drafts.database) as tx:
            return await keys_shown(tx)

    async def add_key(self, caller: str, command: AddUpstreamKey) -> UpstreamKeyShown:
        """Keep a key that its provider accepts. The same key again changes nothing. Raises `KeyRefused` too."""
        providers = {one.name: one for one in (await self._drafts.read()).providers}
        named("provider", command.provider, providers)
        provider = providers[command.provider]
        if command.check and checks(provider):
            await self._checker.check(provider, Secret(command.key))
        async with self._drafts.changing(caller) as draft:
            named("provider", command.provider, [one.name for one in draft.catalog.providers])
            key_id = await add_key(draft.tx, command.provider, command.key, self._drafts.seal)
            await draft.note("key.add", str(key_id), {"provider": command.provider})
            return _shown(await keys_shown(draft.tx), key_id)

    async def use_key(self, caller: str, key_id: UUID, *, active: bool) -> UpstreamKeyShown:
        """Take a key out of use, or back into it."""
        async with self._drafts.changing(caller) as draft:
            if not await use_key(draft.tx, key_id, active=active):
                raise _no_key()
            await draft.note("key.use", str(key_id), {"active": active})
            return _shown(await keys_shown(draft.tx), key_id)

    async def delete_key(self, caller: str, key_id: UUID) -> None:
        """Remove a key for good."""
        async with self._drafts.changing(caller) as draft:
            if not await delete_key(draft.tx, key_id):
                raise _no_key()
            await draft.note("key.delete", str(key_id), {})

    async def models(self) -> list[ModelShown]:
        """Every model, by id."""
        return [_model(model) for model in (await self._drafts.read()).models]

    async def put_model(self, caller: str, model_id: str, command: PutModel) -> ModelShown:
        """Add a model, or make the one of that id this. It is served once it has a price and its provider a key."""
        model = _of(Model, "models.id", command, id=model_id)
        async with self._drafts.changing(caller) as draft:
            others = [one for one in draft.catalog.models if one.id != model_id]
            check_catalog(replace(draft.catalog, models=[*others, model]))
            await put_model(draft.tx, model)
            await draft.note("model.put", model_id, {"provider": model.provider})
        return _model(model)

    async def delete_model(self, caller: str, model_id: str) -> None:
        """Remove a model that no chain names. What it was charged for stays as it is."""
        async with self._drafts.changing(caller) as draft:
            named("model", model_id, [one.id for one in draft.catalog.models])
            others = [one for one in draft.catalog.models if one.id != model_id]
            check_catalog(replace(draft.catalog, models=others))
            await delete_model(draft.tx, model_id)
            await draft.note("model.delete", model_id, {})


def _of(kind: type[Row], place: str, facts: Struct, **name: str) -> Row:
    """The facts with the name that came by the path."""
    try:
        return msgspec.convert(msgspec.to_builtins(facts) | name, kind)
    except msgspec.ValidationError as error:
        raise InvalidCatalog(f"{error}", param=place) from None


def _provider(provider: Provider, active_keys: int) -> ProviderShown:
    facts = asdict(provider)
    del facts["keys"]
    return ProviderShown(active_keys=active_keys, **facts)


def _model(model: Model) -> ModelShown:
    facts = asdict(model)
    del facts["multipliers"]
    return ModelShown(**facts)


def _shown(keys: list[UpstreamKeyShown], key_id: UUID) -> UpstreamKeyShown:
    return next(key for key in keys if key.id == key_id)


def _no_key() -> NotFound:
    return NotFound("there is no such key", param="key_id")


def _origin(base_url: str) -> Origin:
    try:
        return Origin.parse(base_url)[0]
    except ValueError as error:
        raise InvalidCatalog(str(error), param="providers.base_url") from None


async def _check_public(origin: Origin) -> None:
    try:
        addresses = await addresses_of(origin)
    except OSError:
        addresses = []  # perhaps only the egress knows the name
    if not origin.tls or origin.port != HTTPS_PORT or not all(map(is_public, addresses)):
        raise InvalidCatalog(
            "a provider is at a public https address, port 443; for others set"
            " AIBRIDGE_ROUTER_PRIVATE_PROVIDERS",
            param="providers.base_url",
        )
