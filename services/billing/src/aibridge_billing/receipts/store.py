"""Receipts as the ledger wrote them; the document is made by the one function that was hashed with."""

from typing import Any
from uuid import UUID

import msgspec
from sqlalchemy import text

from aibridge_common.contracts.billing import Receipt, ReceiptPage, RequestReceipts
from aibridge_common.db.engine import Transaction
from aibridge_common.errors import InvalidRequest, NotFound
from aibridge_common.ids import parse_request_id

_SEQ_MAX = 2**63 - 1

_BY_REQUEST = text(
    "SELECT seq, document, previous_hash, hash FROM receipt_line"
    " WHERE account_id = :account AND (event_id = :request OR request_id = :request) ORDER BY seq"
)
_BY_ACCOUNT = text(
    "SELECT seq, document, previous_hash, hash FROM receipt_line"
    " WHERE account_id = :account AND seq > :after ORDER BY seq LIMIT :limit"
)


async def request_receipts(tx: Transaction, account_id: UUID, request_id: str) -> RequestReceipts:
    """Every leg of one request. Raises `NotFound`, also for a request of somebody else, and `InvalidRequest`."""
    try:
        request = parse_request_id(request_id)
    except ValueError as error:
        raise InvalidRequest(str(error), param="request_id") from None
    rows = await tx.execute(_BY_REQUEST, {"account": account_id, "request": request})
    receipts = [_receipt(row) for row in rows]
    if not receipts:
        raise NotFound(
            f"there is no receipt of {request_id}: the request is not yet settled, cost nothing,"
            " is older than receipts, or is not yours",
            param="request_id",
        )
    charge = sum(int(receipt.charge_microtokens) for receipt in receipts)
    return RequestReceipts(request_id=request_id, charge_microtokens=str(charge), receipts=receipts)


async def receipt_page(
    tx: Transaction, account_id: UUID, limit: int, cursor: str | None
) -> ReceiptPage:
    """Oldest first. Raises `InvalidRequest` for a cursor that is none of ours."""
    after = 0
    if cursor is not None:
        if not (cursor.isascii() and cursor.isdecimal()) or len(cursor) > 19:
            raise InvalidRequest("cursor is not one that this API gave", param="cursor")
        after = min(int(cursor), _SEQ_MAX)
    rows = await tx.execute(_BY_ACCOUNT, {"account": account_id, "after": after, "limit": limit})
    page = [_receipt(row) for row in rows]
    return ReceiptPage(receipts=page, next=page[-1].seq if len(page) == limit else None)


def _receipt(row: Any) -> Receipt:
    document: dict[str, object] = msgspec.json.decode(row.document)
    hashes = {"previous_hash": row.previous_hash.hex(), "hash": row.hash.hex()}
    return msgspec.convert(document | hashes, Receipt)
