"""Receipts of an account, one request's or all of them."""

from typing import Annotated
from uuid import UUID

from litestar import Controller, get
from litestar.di import NamedDependency
from litestar.params import FromPath, FromQuery, QueryParameter

from aibridge_billing.receipts.store import receipt_page, request_receipts
from aibridge_common.contracts.billing import ReceiptPage, RequestReceipts
from aibridge_common.db.engine import Database, transaction


class ReceiptController(Controller):
    """What charges were made of."""

    path, tags = "/v1/receipts", ["receipts"]

    @get("/", operation_id="ListReceipts")
    async def receipts(
        self,
        database: NamedDependency[Database],
        account_id: FromQuery[UUID],
        limit: Annotated[int, QueryParameter(ge=1, le=1000)] = 100,
        cursor: FromQuery[str | None] = None,
    ) -> ReceiptPage:
        """The account's receipts, oldest first."""
        async with transaction(database) as tx:
            return await receipt_page(tx, account_id, limit, cursor)

    @get("/{request_id:str}", operation_id="GetReceipts")
    async def of_request(
        self,
        request_id: FromPath[str],
        database: NamedDependency[Database],
        account_id: FromQuery[UUID],
    ) -> RequestReceipts:
        """What one request of this account cost, and why."""
        async with transaction(database) as tx:
            return await request_receipts(tx, account_id, request_id)
