"""Providers, the operator's keys and models, over HTTP."""

from uuid import UUID

from litestar import Controller, delete, get, post, put
from litestar.di import NamedDependency
from litestar.params import FromPath, JSONBody

from aibridge_common.contracts.router import (
    AddUpstreamKey,
    ChangeUpstreamKey,
    ModelShown,
    ProviderShown,
    PutModel,
    PutProvider,
    UpstreamKeyShown,
)
from aibridge_router.api.admin.catalogue import CatalogueAdministration

PREFIX = "/v1/admin"
Catalogue = NamedDependency[CatalogueAdministration]


class ProviderController(Controller):
    """Who hosts models."""

    path, tags = f"{PREFIX}/providers", ["providers"]

    @get(operation_id="ListProviders")
    async def list_providers(self, catalogue: Catalogue) -> list[ProviderShown]:
        """Every provider, by name."""
        return await catalogue.providers()

    @put("/{name:path}", operation_id="PutProvider")
    async def put_provider(
        self,
        name: FromPath[str],
        data: JSONBody[PutProvider],
        catalogue: Catalogue,
        caller: NamedDependency[str],
    ) -> ProviderShown:
        """Add a provider, or replace the one of that name in whole."""
        return await catalogue.put_provider(caller, name.strip("/"), data)

    @delete("/{name:path}", operation_id="DeleteProvider")
    async def delete_provider(
        self, name: FromPath[str], catalogue: Catalogue, caller: NamedDependency[str]
    ) -> None:
        """Remove a provider that hosts no model, and every key for it."""
        await catalogue.delete_provider(caller, name.strip("/"))


class UpstreamKeyController(Controller):
    """The operator's keys at providers. No route gives one back."""

    path, tags = f"{PREFIX}/keys", ["upstream keys"]

    @get(operation_id="ListUpstreamKeys")
    async def list_keys(self, catalogue: Catalogue) -> list[UpstreamKeyShown]:
        """Every key, by provider."""
        return await catalogue.keys()

    @post(operation_id="AddUpstreamKey")
    async def add_key(
        self, data: JSONBody[AddUpstreamKey], catalogue: Catalogue, caller: NamedDependency[str]
    ) -> UpstreamKeyShown:
        """Add a key that its provider accepts: 422 `key_refused` where not. The same again changes nothing."""
        return await catalogue.add_key(caller, data)

    @put("/{key_id:uuid}", operation_id="ChangeUpstreamKey")
    async def change_key(
        self,
        key_id: FromPath[UUID],
        data: JSONBody[ChangeUpstreamKey],
        catalogue: Catalogue,
        caller: NamedDependency[str],
    ) -> UpstreamKeyShown:
        """Take a key out of use, or back into it."""
        return await catalogue.use_key(caller, key_id, active=data.active)

    @delete("/{key_id:uuid}", operation_id="DeleteUpstreamKey")
    async def delete_key(
        self, key_id: FromPath[UUID], catalogue: Catalogue, caller: NamedDependency[str]
    ) -> None:
        """Remove a key for good; what runs with it ends with it."""
        await catalogue.delete_key(caller, key_id)


class ModelController(Controller):
    """What customers may ask for."""

    path, tags = f"{PREFIX}/models", ["models"]

    @get(operation_id="ListAllModels")
    async def list_models(self, catalogue: Catalogue) -> list[ModelShown]:
        """Every model with what it can do, by id; priced or not."""
        return await catalogue.models()

    @put("/{model:path}", operation_id="PutModel")
    async def put_model(
        self,
        model: FromPath[str],
        data: JSONBody[PutModel],
        catalogue: Catalogue,
        caller: NamedDependency[str],
    ) -> ModelShown:
        """Add a model, or replace the one of that id in whole. Its price is set at billing."""
        return await catalogue.put_model(caller, model.strip("/"), data)

    @delete("/{model:path}", operation_id="DeleteModel")
    async def delete_model(
        self, model: FromPath[str], catalogue: Catalogue, caller: NamedDependency[str]
    ) -> None:
        """Remove a model that no chain names."""
        await catalogue.delete_model(caller, model.strip("/"))
