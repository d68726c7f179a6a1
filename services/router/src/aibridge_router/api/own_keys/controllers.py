"""The API of customers' own keys, for the console and internal teams."""

from collections.abc import Callable
from uuid import UUID

from litestar import Controller, Router, delete, get, post, put
from litestar.di import NamedDependency, Provide
from litestar.params import FromPath, JSONBody

from aibridge_common.contracts.router import AddOwnKey, ChangeOwnKey, OwnKeyShown
from aibridge_common.db.idempotency import IdempotentCall
from aibridge_common.web.caller import calling
from aibridge_common.web.guard import ServiceGuard
from aibridge_common.web.idempotency import idempotent
from aibridge_router.api.own_keys.service import OwnKeys

Keys = NamedDependency[OwnKeys]


class OwnKeyController(Controller):
    """Keys that customers bring. No route gives one back."""

    path, tags = "/v1/accounts/{account_id:uuid}/own-keys", ["own keys"]

    @get(operation_id="ListOwnKeys")
    async def list_keys(self, account_id: FromPath[UUID], own_keys: Keys) -> list[OwnKeyShown]:
        """An account's own keys, in the order in which they are tried."""
        return await own_keys.list_keys(account_id)

    @post(operation_id="AddOwnKey")
    async def add(
        self,
        account_id: FromPath[UUID],
        data: JSONBody[AddOwnKey],
        own_keys: Keys,
        caller: NamedDependency[str],
        call: NamedDependency[IdempotentCall | None],
    ) -> OwnKeyShown:
        """Bring a key. Its provider is asked first: 422 `key_refused` when it does not accept it."""
        return await own_keys.add(caller, account_id, data, call)

    @put("/{key_id:uuid}", operation_id="ChangeOwnKey")
    async def change(
        self,
        account_id: FromPath[UUID],
        key_id: FromPath[UUID],
        data: JSONBody[ChangeOwnKey],
        own_keys: Keys,
        caller: NamedDependency[str],
    ) -> OwnKeyShown:
        """Change when it is tried, and what follows when it fails."""
        return await own_keys.change(caller, account_id, key_id, data)

    @delete("/{key_id:uuid}", operation_id="RemoveOwnKey")
    async def remove(
        self,
        account_id: FromPath[UUID],
        key_id: FromPath[UUID],
        own_keys: Keys,
        caller: NamedDependency[str],
    ) -> None:
        """Remove a key for good."""
        await own_keys.remove(caller, account_id, key_id)


def own_keys_api(guard: ServiceGuard, own_keys: Callable[[], OwnKeys]) -> Router:
    """Every route, behind the guard."""
    return Router(
        "/",
        route_handlers=[OwnKeyController],
        guards=[guard],
        dependencies={
            "own_keys": Provide(own_keys, sync_to_thread=False),
            "caller": Provide(calling(guard), sync_to_thread=False),
            "call": Provide(idempotent(guard)),
        },
    )
