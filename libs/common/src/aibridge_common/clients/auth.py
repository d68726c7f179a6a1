"""Auth's API as the other services see it."""

from uuid import UUID

from aibridge_common.clients.base import ServiceClient
from aibridge_common.contracts.auth import (
    CreateKey,
    IssuedKey,
    KeySummary,
    KeyVerdict,
    VerifyKey,
)


class AuthClient(ServiceClient):
    """Verify, issue, list and revoke keys."""

    async def verify_key(self, key: str) -> KeyVerdict:
        """Whose key this is; called on a cache miss only."""
        return await self.call(KeyVerdict, "POST", "/v1/keys/verify", VerifyKey(key=key))

    async def create_key(self, account_id: UUID, name: str) -> IssuedKey:
        """A new key, shown this once."""
        return await self.call(
            IssuedKey, "POST", "/v1/keys", CreateKey(account_id=account_id, name=name)
        )

    async def list_keys(self, account_id: UUID) -> list[KeySummary]:
        """The account's keys, newest first, revoked ones included."""
        return await self.call(
            list[KeySummary], "GET", "/v1/keys", query={"account_id": str(account_id)}
        )

    async def revoke_key(self, key_id: UUID) -> None:
        """End a key; running gateways refuse it within a second. Doing it again changes nothing."""
        await self.call(type(None), "POST", f"/v1/keys/{key_id}/revoke")
