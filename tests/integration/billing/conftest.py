"""A running billing with everything it can sell and be paid by."""

from collections.abc import AsyncIterator

import pytest

from tests.fixtures.services import http_to, running_billing

from .shop import Shop


@pytest.fixture(scope="module")
async def billing(billing_url: str, clean_stream: str) -> AsyncIterator[str]:
    """Where it answers, with a sandbox and transfers."""
    async with running_billing(billing_url, clean_stream) as url:
        yield url


@pytest.fixture
async def shop(billing: str) -> AsyncIterator[Shop]:
    """A customer's account of its own, and a plan on sale."""
    async with http_to(billing) as http:
        shop = Shop(http)
        await shop.sell()
        yield shop
