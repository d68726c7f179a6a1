"""Issue, verify and revoke keys."""

from uuid import UUID

from aibridge_auth.api_keys import store
from aibridge_auth.api_keys.answers import SealedAnswers
from aibridge_auth.changes.notices import Notices
from aibridge_auth.changes.store import number_change
from aibridge_auth.crypto import key_format
from aibridge_auth.crypto.pepper import KeyHasher
from aibridge_common.contracts.auth import IssuedKey, KeySummary, KeyVerdict
from aibridge_common.db.engine import Database, Transaction, transaction
from aibridge_common.db.idempotency import IdempotentCall, once
from aibridge_common.errors import InvalidRequest, NotFound
from aibridge_common.events.keys import KeysChanged
from aibridge_common.ids import uuid7
from aibridge_common.routing import KeyRouting
from aibridge_common.sealed import Sealer

NOTHING_SAID = KeyRouting()


class ApiKeys:
    """The key operations. One transaction each; notices go out after the commit."""

    def __init__(self, database: Database, hasher: KeyHasher, notices: Notices) -> None:
        self._database = database
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
        call: IdempotentCall | None = None,
    ) -> IssuedKey:
        """A new key for an account; a repeated `call` is answered with the same key for a day.

        Raises `NotFound` for an unknown account, `InvalidRequest` for a bad name.
        """
        name = name.strip()
        if not 1 <= len(name) <= 100:
            raise InvalidRequest("a key's name has 1 to 100 characters", param="name")
        if "\0" in name:  # PostgreSQL keeps none
            raise InvalidRequest("a key's name has no zero character", param="name")
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


async def _number(tx: Transaction, key_id: UUID, account_id: UUID | None) -> KeysChanged:
    if account_id is None:
        raise NotFound("there is no such key", param="key_id")
    return await number_change(tx, account_id, key_id)
