"""Everything real but the vendors: the product as `make dev` starts it, driven from outside."""

from collections.abc import Iterator

import pytest
from anyio.from_thread import BlockingPortal

from aibridge_devstack.record import DevRecord
from tests.fixtures.customer import Customer, open_account
from tests.fixtures.outside import Outside


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    for item in items:
        if "tests/e2e/" in item.nodeid:
            item.add_marker(pytest.mark.xdist_group("stack"))


@pytest.fixture(scope="session")
def outside(stack: DevRecord) -> Iterator[Outside]:
    """The demo customer's view of the product; at the end the books must fit the vendors' own."""
    with Outside(stack) as view:
        yield view
        view.check_books()


@pytest.fixture
def poor_customer(stack: DevRecord, portal: BlockingPortal) -> Customer:
    """An account that never bought anything."""
    return portal.call(open_account, stack, 0)
