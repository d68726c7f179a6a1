"""Auth's API as the other services see it."""

from uuid import UUID

from aibridge_common.clients.base import ServiceClient
from aibridge_common.contracts.auth import (
    CreateKey,
    IssuedKey,
    KeySummary,
    KeyVerdict,
    SetKeyRouting,
    VerifyKey,
)
from aibridge_common.routing import KeyRouting, RoutingOptions


class AuthClient(ServiceClient):
    """Verify, issue, list and revoke keys; what may happen to their requests."""

    async def verify_key(self, key: str) -> KeyVerdict:
        """Whose key this is; called on a cache miss only."""
        return await self.call(KeyVerdict, "POST", "/v1/keys/verify", VerifyKey(key=key))

    async def create_key(
        self, account_id: UUID, name: str, routing: SetKeyRouting | None = None
    ) -> IssuedKey:
        """A new key, shown this once."""
        command = CreateKey(account_id=account_id, name=name, routing=routing or SetKeyRouting())
        return await self.call(IssuedKey, "POST", "/v1/keys", command)

    async def list_keys(self, account_id: UUID) -> list[KeySummary]:
        """The account's keys, newest first, revoked ones included."""
        return await self.call(
            list[KeySummary], "GET", "/v1/keys", query={"account_id": str(account_id)}
        )

    async def revoke_key(self, key_id: UUID) -> None:
        """End a key; running gateways refuse it within a second. Doing it again changes nothing."""
        await self.call(type(None), "POST", f"/v1/keys/{key_id}/revoke")

    async def set_key_routing(self, key_id: UUID, routing: KeyRouting) -> KeyRouting:
        """Replace a key's options; running gateways follow within a second."""
        return await self.call(KeyRouting, "PUT", f"/v1/keys/{key_id}/routing", routing)

    async def routing(self, account_id: UUID) -> RoutingOptions:
        """The account's options."""
        return await self.call(RoutingOptions, "GET", f"/v1/accounts/{account_id}/routing")

    async def set_routing(self, account_id: UUID, options: RoutingOptions) -> RoutingOptions:
        """Replace the account's options; running gateways follow within a second."""
        return await self.call(RoutingOptions, "PUT", f"/v1/accounts/{account_id}/routing", options)
