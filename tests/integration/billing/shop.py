"""What tests of orders do, in a line each."""

from typing import Any
from uuid import UUID

import httpx

from aibridge_common.ids import uuid7

TOKENS = 10
MICROTOKENS = TOKENS * 1_000_000
PRICE_MINOR = 1999
PERSON, OTHER_PERSON = str(uuid7()), str(uuid7())

Json = dict[str, Any]


class Shop:
    """Billing as a portal and as support use it."""

    def __init__(self, http: httpx.AsyncClient) -> None:
        self.http = http
        self.account = uuid7()

    async def sell(self, product_id: str = "plan", **change: Any) -> None:
        """Put a plan on sale."""
        plan = {
            "title": "Plan",
            "tokens": TOKENS,
            "price_minor": PRICE_MINOR,
            "currency": "EUR",
        }
        answer = await self.http.put(f"/v1/products/{product_id}", json=plan | change)
        assert answer.status_code == 200, answer.text

    async def order(
        self,
        provider: str = "sandbox",
        *,
        key: str | None = None,
        account: UUID | None = None,
        product_id: str = "plan",
    ) -> httpx.Response:
        """The answer to an order."""
        return await self.http.post(
            f"/v1/accounts/{account or self.account}/orders",
            json={"product_id": product_id, "provider": provider},
            headers={"idempotency-key": key} if key is not None else {},
        )

    async def ordered(self, provider: str = "sandbox", **how: Any) -> Json:
        """An order that was made."""
        answer = await self.order(provider, **how)
        assert answer.status_code == 201, answer.text
        return answer.json()

    async def bought(self, **how: Any) -> Json:
        """An order that was paid in the sandbox."""
        order = await self.ordered(**how)
        page = await self.press(order, "pay")
        assert page.status_code == 200, page.text
        paid = await self.look(order["number"])
        assert paid["status"] == "paid", paid
        return paid

    async def press(self, order: Json, choice: str) -> httpx.Response:
        """A button of the sandbox's page, pressed without any token of ours."""
        return await self.http.post(
            _path(order["pay_url"]), data={"choice": choice}, headers={"authorization": ""}
        )

    async def page(self, order: Json, **headers: str) -> httpx.Response:
        """The sandbox's page."""
        return await self.http.get(_path(order["pay_url"]), headers={"authorization": ""} | headers)

    async def look(self, number: str) -> Json:
        """An order as support sees it."""
        answer = await self.http.get(f"/v1/orders/{number}")
        assert answer.status_code == 200, answer.text
        return answer.json()

    async def balance(self, account: UUID | None = None) -> Json:
        """What the account has."""
        answer = await self.http.get(
            "/v1/balance", params={"account_id": str(account or self.account)}
        )
        return answer.json()

    async def posted(self, account: UUID | None = None) -> int:
        """Microtokens of its lots."""
        return int((await self.balance(account))["posted_microtokens"])

    async def refund(
        self, number: str, *, key: str | None = None, account: UUID | None = None, **change: Any
    ) -> httpx.Response:
        """The answer to a refund asked for by the customer."""
        return await self.http.post(
            f"/v1/accounts/{account or self.account}/orders/{number}/refunds",
            json={"reason": "not needed", "requested_by": PERSON} | change,
            headers={"idempotency-key": key} if key is not None else {},
        )

    async def quote(self, number: str) -> Json:
        """What a refund would give back."""
        answer = await self.http.get(f"/v1/accounts/{self.account}/orders/{number}/refund-quote")
        assert answer.status_code == 200, answer.text
        return answer.json()

    async def alerts(self) -> list[Json]:
        """What waits for a person, the newest first."""
        return (await self.http.get("/v1/payment-alerts")).json()


def _path(url: str) -> str:
    return url.removeprefix("http://pay.example")
