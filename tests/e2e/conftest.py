"""Everything real but the vendors: the product as `make dev` starts it, driven from outside."""

from collections.abc import Iterator

import pytest
from anyio.from_thread import BlockingPortal

from aibridge_devstack.record import DevRecord
from tests.fixtures.customer import Customer, open_account
from tests.fixtures.outside import Outside
from tests.fixtures.product import product
from tests.fixtures.trouble import Trouble, catalog_with_an_impatient_model


@pytest.fixture(scope="session")
def outside(stack: DevRecord) -> Iterator[Outside]:
    """The demo customer's view of the product; at the end the books must fit the vendors' own."""
    with Outside(stack) as view:
        yield view
        view.check_books()


@pytest.fixture(scope="session")
def troubled_product(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Trouble]:
    """A second product, whose vendors may fail; at the end its books must fit all the same."""
    folder = tmp_path_factory.mktemp("trouble")
    catalog = catalog_with_an_impatient_model(folder)
    with product(folder, catalog) as record, Trouble(record, folder / "home") as view:
        yield view
        view.heal()
        view.check_books()


@pytest.fixture
def trouble(troubled_product: Trouble) -> Iterator[Trouble]:
    """The same, with every vendor well before the test."""
    troubled_product.heal()
    yield troubled_product
    troubled_product.clear_faults()


@pytest.fixture
def poor_customer(stack: DevRecord, portal: BlockingPortal) -> Customer:
    """An account that never bought anything."""
    return portal.call(open_account, stack, 0)
