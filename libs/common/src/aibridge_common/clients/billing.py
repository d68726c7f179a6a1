"""Billing's API as the other services see it."""

from datetime import datetime
from typing import Any
from uuid import UUID

from aibridge_common.clients.base import ServiceClient
from aibridge_common.contracts.billing import (
    AcquireLease,
    Balance,
    ExtendLease,
    Lease,
    OwnKeyUsage,
    RateCard,
    ReceiptPage,
    ReleaseLease,
    RequestReceipts,
    SpoolApplied,
    UsagePage,
    UsageSum,
)
from aibridge_common.ids import public_request_id


class BillingClient(ServiceClient):
    """Prices, leases, balances, usage and receipts."""

    async def rate_cards(self) -> list[RateCard]:
        """Every rate card in force or still to come."""
        return await self.call(list[RateCard], "GET", "/v1/rate-cards")

    async def acquire_lease(self, command: AcquireLease) -> Lease:
        """A slice of the balance.

        Raises `InsufficientBalance`; with `retry_after_s` when the balance is large enough and others hold it.
        """
        return await self.call(Lease, "POST", "/v1/leases", command)

    async def extend_lease(self, lease_id: UUID, command: ExtendLease) -> Lease:
        """Let a lease grow. Raises `InsufficientBalance` as above, and `Conflict` when it was given back."""
        return await self.call(Lease, "POST", f"/v1/leases/{lease_id}/extend", command)

    async def release_lease(
        self, lease_id: UUID, keep_microtokens: int = 0, granted_microtokens: int | None = None
    ) -> None:
        """Give a lease back, but for what still covers running requests.

        `granted_microtokens` is the highest total asked for, of a lease that grew.
        """
        granted = None if granted_microtokens is None else str(granted_microtokens)
        await self.call(
            type(None),
            "POST",
            f"/v1/leases/{lease_id}/release",
            ReleaseLease(keep_microtokens=str(keep_microtokens), granted_microtokens=granted),
        )

    async def balance(self, account_id: UUID) -> Balance:
        """An account's tokens; an account that never bought has none."""
        return await self.call(Balance, "GET", "/v1/balance", query={"account_id": str(account_id)})

    async def usage(
        self, account_id: UUID, *, limit: int = 100, cursor: str | None = None
    ) -> UsagePage:
        """Charged exchanges, newest first."""
        query: dict[str, Any] = {"account_id": str(account_id), "limit": limit}
        if cursor is not None:
            query["cursor"] = cursor
        return await self.call(UsagePage, "GET", "/v1/usage", query=query)

    async def own_usage(
        self, account_id: UUID, since: datetime | None = None, until: datetime | None = None
    ) -> list[OwnKeyUsage]:
        """What was used with the customer's own keys, by day and model; the last 30 days where no time is said."""
        said = {"since": since, "until": until}
        query = {name: at.isoformat() for name, at in said.items() if at is not None}
        return await self.call(
            list[OwnKeyUsage],
            "GET",
            "/v1/own-usage",
            query={"account_id": str(account_id), **query},
        )

    async def receipts(
        self, account_id: UUID, *, limit: int = 100, cursor: str | None = None
    ) -> ReceiptPage:
        """The account's receipts, oldest first."""
        query: dict[str, Any] = {"account_id": str(account_id), "limit": limit}
        if cursor is not None:
            query["cursor"] = cursor
        return await self.call(ReceiptPage, "GET", "/v1/receipts", query=query)

    async def request_receipts(self, account_id: UUID, request_id: UUID) -> RequestReceipts:
        """The receipts of one request of this account. Raises `NotFound`."""
        return await self.call(
            RequestReceipts,
            "GET",
            f"/v1/receipts/{public_request_id(request_id)}",
            query={"account_id": str(account_id)},
        )

    async def spool(self, router: str, epoch_min: int = 0) -> SpoolApplied:
        """What of a router's usage is settled, from its run `epoch_min` on."""
        return await self.call(
            SpoolApplied, "GET", f"/v1/spool/{router}", query={"epoch_min": epoch_min}
        )

    async def usage_of_key(self, account_id: UUID, key_id: UUID, since: datetime) -> list[UsageSum]:
        """What was charged for a key since then, by day."""
        query = {
            "account_id": str(account_id),
            "key_id": str(key_id),
            "since": since.isoformat(),
            "by": "day",
        }
        return await self.call(list[UsageSum], "GET", "/v1/usage/summary", query=query)
