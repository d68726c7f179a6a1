"""What customers may do about their own keys: bring, order, remove; never read."""

from uuid import UUID

from aibridge_common.bus.nats import Bus
from aibridge_common.catalog import Provider
from aibridge_common.contracts.router import AddOwnKey, ChangeOwnKey, OwnKeyShown
from aibridge_common.db.audit import record
from aibridge_common.db.engine import Database, Transaction, transaction
from aibridge_common.db.idempotency import IdempotentCall, once
from aibridge_common.dialect import Dialect
from aibridge_common.errors import Conflict, InvalidRequest, NotFound, Unavailable
from aibridge_common.ids import uuid7
from aibridge_common.sealed import Sealer
from aibridge_common.settings import Secret
from aibridge_router.catalog.announcement import announce
from aibridge_router.catalog.own_keys import (
    PER_ACCOUNT_MAX,
    SealedOwnKey,
    add_own_key,
    bound_to,
    change_own_key,
    delete_own_key,
    own_keys_of,
)
from aibridge_router.catalog.refresh import CatalogRefresh
from aibridge_router.upstream.key_check import KeyChecker, checks


class OwnKeys:
    """Every change is in force in all routers within two seconds. Raises `NotFound` for another account's key."""

    def __init__(
        self,
        database: Database,
        sealer: Sealer,
        bus: Bus,
        catalog: CatalogRefresh,
        checker: KeyChecker,
    ) -> None:
        self._database = database
        self._sealer = sealer
        self._bus = bus
        self._catalog = catalog
        self._checker = checker

    async def list_keys(self, account_id: UUID) -> list[OwnKeyShown]:
        """In the order in which they are tried."""
        async with transaction(self._database) as tx:
            return await own_keys_of(tx, account_id)

    async def add(
        self,
        caller: str,
        account_id: UUID,
        command: AddOwnKey,
        call: IdempotentCall | None = None,
    ) -> OwnKeyShown:
        """Ask the provider whether it takes the key, then keep it sealed; a repeated `call` has the first one's answer.

        Raises `KeyRefused`, `Unavailable`.
        """
        await self._check(command.provider, Secret(command.key))
        key_id = uuid7()
        bound = bound_to(account_id, command.provider)
        row = SealedOwnKey(
            id=key_id,
            account_id=account_id,
            provider=command.provider,
            sealed=self._sealer.seal(command.key, key_id, bound),
            priority=command.priority,
            on_failure=command.on_failure,
        )
        async with transaction(self._database) as tx:

            async def keep() -> OwnKeyShown:
                if len(await own_keys_of(tx, account_id)) >= PER_ACCOUNT_MAX:
                    raise Conflict(f"an account has {PER_ACCOUNT_MAX} own keys at most")
                await add_own_key(tx, row, command.name, f"…{command.key[-4:]}")
                await self._note(tx, caller, "own_key.add", account_id, key_id)
                return next(key for key in await own_keys_of(tx, account_id) if key.id == key_id)

            shown = await once(tx, call, OwnKeyShown, keep)
        await announce(self._bus)
        return shown

    async def change(
        self, caller: str, account_id: UUID, key_id: UUID, command: ChangeOwnKey
    ) -> OwnKeyShown:
        """Another place in the order, or another end when it fails."""
        async with transaction(self._database) as tx:
            if not await change_own_key(
                tx, account_id, key_id, command.priority, command.on_failure
            ):
                raise _unknown()
            await self._note(tx, caller, "own_key.change", account_id, key_id)
            keys = await own_keys_of(tx, account_id)
        await announce(self._bus)
        return next(key for key in keys if key.id == key_id)

    async def remove(self, caller: str, account_id: UUID, key_id: UUID) -> None:
        """For good; what runs with it ends with it."""
        async with transaction(self._database) as tx:
            if not await delete_own_key(tx, account_id, key_id):
                raise _unknown()
            await self._note(tx, caller, "own_key.remove", account_id, key_id)
        await announce(self._bus)

    async def _check(self, name: str, key: Secret) -> None:
        registry = self._catalog.registry
        if registry is None:
            raise Unavailable("the catalogue is not loaded yet", retry_after_s=1)
        provider = registry.providers.get(name)
        if provider is None or not brought(provider):
            taken = sorted(each.name for each in registry.providers.values() if brought(each))
            raise InvalidRequest(
                f"own keys are taken for {', '.join(taken) or 'no provider'}", param="provider"
            )
        await self._checker.check(provider, key)

    async def _note(
        self, tx: Transaction, caller: str, action: str, account_id: UUID, key_id: UUID
    ) -> None:
        await record(tx, caller, action, str(key_id), {"account_id": str(account_id)})


def brought(provider: Provider) -> bool:
    """Whether customers may bring keys of this provider: so far those of Anthropic's protocol."""
    return Dialect.ANTHROPIC_MESSAGES in provider.paths and checks(provider)


def _unknown() -> NotFound:
    return NotFound("the account has no such key", param="key_id")
