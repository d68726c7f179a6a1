"""Issue, verify, limit, rotate and revoke keys."""

from datetime import timedelta
from uuid import UUID

from msgspec import structs

from aibridge_auth.api_keys import store
from aibridge_auth.api_keys.answers import SealedAnswers
from aibridge_auth.changes.notices import Notices
from aibridge_auth.changes.store import number_change
from aibridge_auth.crypto import key_format
from aibridge_auth.crypto.pepper import KeyHasher
from aibridge_common.clock import Clock
from aibridge_common.contracts.auth import IssuedKey, KeySummary, KeyVerdict
from aibridge_common.db.engine import Database, Transaction, transaction
from aibridge_common.db.idempotency import IdempotentCall, once
from aibridge_common.errors import Conflict, InvalidRequest, NotFound
from aibridge_common.events.keys import KeysChanged
from aibridge_common.ids import uuid7
from aibridge_common.limits import NO_LIMITS, KeyLimits, checked
from aibridge_common.routing import KeyRouting
from aibridge_common.sealed import Sealer

NOTHING_SAID = KeyRouting()


class ApiKeys:
    """The key operations. One transaction each; notices go out after the commit."""

    def __init__(
        self, database: Database, hasher: KeyHasher, notices: Notices, clock: Clock
    ) -> None:
        self._database = database
        self._clock = clock
        self._hasher = hasher
        self._notices = notices
        self._answers = SealedAnswers(Sealer(hasher.sealing_key(), "idempotent_call"))

    async def issue(
        self,
        account_id: UUID,
        name: str,
        key: str | None = None,
        *,
        routing: KeyRouting = NOTHING_SAID,
        limits: KeyLimits = NO_LIMITS,
        call: IdempotentCall | None = None,
    ) -> IssuedKey:
        """A new key for an account; a repeated `call` is answered with the same key for a day.

        Raises `NotFound` for an unknown account, `InvalidRequest` for a bad name or limit.
        """
        name, limits = _checked_name(name), checked(limits, self._clock.now())
        new = key or key_format.new_key()
        async with transaction(self._database) as tx:

            async def create() -> IssuedKey:
                key_id = await store.add_key(
                    tx,
                    key_id=uuid7(),
                    account_id=account_id,
                    name=name,
                    digest=self._hasher.digest(new),
                    hint=key_format.hint(new),
                    routing=routing,
                    limits=limits,
                )
                if key_id is None:
                    raise NotFound("there is no such account", param="account_id")
                return IssuedKey(key_id=key_id, key=new)

            return await once(tx, call, IssuedKey, create, self._answers)

    async def verify(self, key: str) -> KeyVerdict:
        """Whether `key` may be used now; a malformed one costs no query."""
        if not key_format.is_well_formed(key):
            return KeyVerdict(reason="malformed")
        async with transaction(self._database) as tx:
            return await store.verdict_on(tx, self._hasher.digest(key))

    async def list(self, account_id: UUID) -> list[KeySummary]:
        """The account's keys, newest first."""
        async with transaction(self._database) as tx:
            return await store.list_keys(tx, account_id)

    async def revoke(self, key_id: UUID) -> None:
        """End a key and tell the gateways. Raises `NotFound`."""
        async with transaction(self._database) as tx:
            notice = await _number(tx, key_id, await store.revoke_key(tx, key_id))
        await self._notices.send(notice)

    async def set_routing(self, key_id: UUID, routing: KeyRouting) -> None:
        """Replace a key's options and tell the gateways. Raises `NotFound`."""
        async with transaction(self._database) as tx:
            notice = await _number(tx, key_id, await store.put_routing(tx, key_id, routing))
        await self._notices.send(notice)

    async def set_limits(self, account_id: UUID, key_id: UUID, limits: KeyLimits) -> KeyLimits:
        """Replace a key's limits and tell the gateways. Raises `NotFound`, or `InvalidRequest` for a bad one."""
        limits = checked(limits, self._clock.now())
        async with transaction(self._database) as tx:
            found = await store.put_limits(tx, account_id, key_id, limits)
            notice = await _number(tx, key_id, found)
        await self._notices.send(notice)
        return limits

    async def rename(self, account_id: UUID, key_id: UUID, name: str) -> None:
        """Raises `NotFound`, or `InvalidRequest` for a bad name."""
        name = _checked_name(name)
        async with transaction(self._database) as tx:
            if not await store.put_name(tx, account_id, key_id, name):
                raise _no_such_key()

    async def rotate(
        self, account_id: UUID, key_id: UUID, overlap_s: int, call: IdempotentCall | None
    ) -> IssuedKey:
        """A new key with the name, options and limits of another, which goes on for `overlap_s` at most.

        Raises `NotFound`, or `Conflict` for a key that has ended or was rotated before.
        """
        new, notices = key_format.new_key(), list[KeysChanged]()
        ends_at = self._clock.now() + timedelta(seconds=overlap_s)
        async with transaction(self._database) as tx:

            async def replace() -> IssuedKey:
                old = await store.lock_for_rotation(tx, account_id, key_id)
                if old is None:
                    raise _no_such_key()
                if old.replaced_by is not None:
                    raise Conflict("this key was rotated before; rotate the one that replaced it")
                if old.ended:
                    raise Conflict("this key has ended; create another")
                successor_id = await store.add_key(
                    tx,
                    key_id=uuid7(),
                    account_id=account_id,
                    name=old.name,
                    digest=self._hasher.digest(new),
                    hint=key_format.hint(new),
                    routing=old.routing,
                    limits=old.limits,
                )
                assert successor_id is not None, "the account of the old key"
                expires_at = min(old.limits.expires_at or ends_at, ends_at)
                ending = structs.replace(old.limits, expires_at=expires_at)
                at_once = overlap_s == 0
                await store.replace_key(tx, key_id, successor_id, ending, at_once=at_once)
                notices.append(await number_change(tx, account_id, key_id))
                return IssuedKey(key_id=successor_id, key=new)

            issued = await once(tx, call, IssuedKey, replace, self._answers)
        for notice in notices:
            await self._notices.send(notice)
        return issued


def _checked_name(name: str) -> str:
    name = name.strip()
    if not 1 <= len(name) <= 100:
        raise InvalidRequest("a key's name has 1 to 100 characters", param="name")
    if "\0" in name:  # PostgreSQL keeps none
        raise InvalidRequest("a key's name has no zero character", param="name")
    return name


def _no_such_key() -> NotFound:
    return NotFound("there is no such key", param="key_id")


async def _number(tx: Transaction, key_id: UUID, account_id: UUID | None) -> KeysChanged:
    if account_id is None:
        raise _no_such_key()
    return await number_change(tx, account_id, key_id)
