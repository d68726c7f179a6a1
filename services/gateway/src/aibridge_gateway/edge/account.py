"""What a key's owner may ask about the account: balance, usage and receipts, by API."""

from uuid import UUID

import msgspec
from litestar import Request, Response, get
from litestar.datastructures import State
from litestar.handlers import HTTPRouteHandler
from litestar.params import FromPath, FromQuery

from aibridge_common import envelopes
from aibridge_common.clients.billing import BillingClient
from aibridge_common.contracts.billing import Balance, ReceiptPage, RequestReceipts, UsagePage
from aibridge_common.dialect import Surface
from aibridge_common.errors import AIBridgeError, InvalidRequest
from aibridge_common.ids import parse_request_id
from aibridge_gateway.edge.addresses import ClientAddresses
from aibridge_gateway.edge.credentials import find_key
from aibridge_gateway.edge.keyring import Keyring


def account_routes(
    keyring: Keyring, addresses: ClientAddresses, billing: BillingClient
) -> list[HTTPRouteHandler]:
    """`GET /v1/balance`, `/v1/usage` and `/v1/receipts` for whoever holds a live key."""

    async def account_of(request: Request[None, None, State]) -> UUID:
        facts = await keyring.facts(
            find_key(request.scope["headers"], request.scope["query_string"])
        )
        scope = request.scope
        addresses.check(facts.limits, scope["client"], scope["headers"])
        return facts.account_id

    @get("/v1/balance", operation_id="MyBalance", exception_handlers={AIBridgeError: public_error})
    async def balance(request: Request[None, None, State]) -> Balance:
        """The tokens of the key's account."""
        return await billing.balance(await account_of(request))

    @get("/v1/usage", operation_id="MyUsage", exception_handlers={AIBridgeError: public_error})
    async def usage(
        request: Request[None, None, State],
        limit: FromQuery[int] = 100,
        cursor: FromQuery[str | None] = None,
    ) -> UsagePage:
        """Charged exchanges of the key's account, newest first."""
        return await billing.usage(await account_of(request), limit=limit, cursor=cursor)

    @get(
        "/v1/receipts", operation_id="MyReceipts", exception_handlers={AIBridgeError: public_error}
    )
    async def receipts(
        request: Request[None, None, State],
        limit: FromQuery[int] = 100,
        cursor: FromQuery[str | None] = None,
    ) -> ReceiptPage:
        """The receipts of the key's account, oldest first, as `verify-receipts` reads them."""
        return await billing.receipts(await account_of(request), limit=limit, cursor=cursor)

    @get(
        "/v1/receipts/{request_id:str}",
        operation_id="MyReceipt",
        exception_handlers={AIBridgeError: public_error},
    )
    async def receipt(
        request: Request[None, None, State], request_id: FromPath[str]
    ) -> RequestReceipts:
        """What one request of the key's account cost, and why."""
        account_id = await account_of(request)
        try:
            parsed = parse_request_id(request_id)
        except ValueError as error:
            raise InvalidRequest(str(error), param="request_id") from None
        return await billing.request_receipts(account_id, parsed)

    return [balance, usage, receipts, receipt]


def public_error(_request: Request[None, None, State], error: AIBridgeError) -> Response[object]:
    """Errors of these routes look like those of the routes beside them."""
    rendering = envelopes.render(Surface.OPENAI, error)
    return Response(
        msgspec.Raw(rendering.body),
        status_code=rendering.status,
        headers={
            name.decode(): value.decode()
            for name, value in rendering.headers
            if name not in {b"content-type", b"content-length"}
        },
        media_type="application/json",
    )
