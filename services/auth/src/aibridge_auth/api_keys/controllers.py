"""The key API for the other services."""

from uuid import UUID

from litestar import Controller, get, post, put
from litestar.di import NamedDependency
from litestar.params import FromPath, FromQuery, JSONBody

from aibridge_auth.api_keys.service import ApiKeys
from aibridge_common.contracts.auth import (
    ChangeKeyLimits,
    CreateKey,
    IssuedKey,
    KeySummary,
    KeyVerdict,
    RenameKey,
    RotateKey,
    SetKeyRouting,
    VerifyKey,
)
from aibridge_common.db.idempotency import IdempotentCall
from aibridge_common.limits import KeyLimits
from aibridge_common.routing import KeyRouting


class ApiKeyController(Controller):
    """Issue, verify, list, limit, rotate and revoke API keys, and say what may happen to their requests."""

    path, tags = "/v1/keys", ["keys"]

    @post("/verify", operation_id="VerifyKey", status_code=200)
    async def verify(self, data: JSONBody[VerifyKey], keys: NamedDependency[ApiKeys]) -> KeyVerdict:
        """Whose key this is; no facts means it must be refused."""
        return await keys.verify(data.key)

    @post(operation_id="CreateKey")
    async def create(
        self,
        data: JSONBody[CreateKey],
        keys: NamedDependency[ApiKeys],
        call: NamedDependency[IdempotentCall | None],
    ) -> IssuedKey:
        """A new key; only the same call with the same `Idempotency-Key` shows it again, for a day."""
        return await keys.issue(
            data.account_id, data.name, routing=data.routing, limits=data.limits, call=call
        )

    @get(operation_id="ListKeys")
    async def list_keys(
        self, account_id: FromQuery[UUID], keys: NamedDependency[ApiKeys]
    ) -> list[KeySummary]:
        """The account's keys, newest first, revoked ones included."""
        return await keys.list(account_id)

    @post("/{key_id:uuid}/revoke", operation_id="RevokeKey", status_code=204)
    async def revoke(self, key_id: FromPath[UUID], keys: NamedDependency[ApiKeys]) -> None:
        """End a key within a second everywhere. Safe to repeat."""
        await keys.revoke(key_id)

    @put("/{key_id:uuid}/routing", operation_id="SetKeyRouting")
    async def set_routing(
        self,
        key_id: FromPath[UUID],
        data: JSONBody[SetKeyRouting],
        keys: NamedDependency[ApiKeys],
    ) -> KeyRouting:
        """Replace a key's options, within a second everywhere; what is left out follows the account."""
        await keys.set_routing(key_id, data)
        return data

    @put("/{key_id:uuid}/limits", operation_id="SetKeyLimits")
    async def set_limits(
        self,
        key_id: FromPath[UUID],
        data: JSONBody[ChangeKeyLimits],
        keys: NamedDependency[ApiKeys],
    ) -> KeyLimits:
        """Replace a key's limits, within a second everywhere; what is left out is not limited."""
        return await keys.set_limits(data.account_id, key_id, data.limits)

    @put("/{key_id:uuid}/name", operation_id="RenameKey", status_code=204)
    async def rename(
        self, key_id: FromPath[UUID], data: JSONBody[RenameKey], keys: NamedDependency[ApiKeys]
    ) -> None:
        """Give a key another name."""
        await keys.rename(data.account_id, key_id, data.name)

    @post("/{key_id:uuid}/rotate", operation_id="RotateKey")
    async def rotate(
        self,
        key_id: FromPath[UUID],
        data: JSONBody[RotateKey],
        keys: NamedDependency[ApiKeys],
        call: NamedDependency[IdempotentCall | None],
    ) -> IssuedKey:
        """A new key in place of this one, which goes on for `overlap_s`; a day where nothing is said."""
        return await keys.rotate(data.account_id, key_id, data.overlap_s, call)
