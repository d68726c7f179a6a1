"""The real clients against the product as `make dev` starts it. `make clients` runs them; `make test` does not."""

from collections.abc import Iterator
from pathlib import Path

import pytest
from anyio.from_thread import BlockingPortal

from aibridge_devstack.record import DevRecord
from tests.fixtures.customer import Customer, open_account
from tests.fixtures.outside import Outside

from .claude_code import ClaudeCode
from .codex import Codex
from .driven import Place, new_place
from .elsewhere import Elsewhere
from .evidence import Evidence
from .gemini_cli import GeminiCli
from .installed import VARIABLE, folder


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    if folder() is None:
        why = pytest.mark.skip(reason=f"`make clients` installs the clients and sets {VARIABLE}")
        for item in items:
            if "tests/clients/" in item.nodeid:
                item.add_marker(why)


@pytest.fixture(scope="session")
def outside(stack: DevRecord) -> Iterator[Outside]:
    """The demo customer's view of the product; at the end the books must fit the vendors' own."""
    with Outside(stack) as view:
        yield view
        view.check_books()


@pytest.fixture
def evidence(outside: Outside) -> Evidence:
    """What the vendors and the ledger see from here on."""
    return Evidence(outside)


@pytest.fixture
def poor_customer(stack: DevRecord, portal: BlockingPortal) -> Customer:
    """An account that never bought anything."""
    return portal.call(open_account, stack, 0)


@pytest.fixture
def elsewhere() -> Iterator[Elsewhere]:
    """Fails the test whose client calls anything but the product."""
    with Elsewhere() as listening:
        yield listening
    assert listening.called == []


@pytest.fixture
def place(tmp_path: Path, elsewhere: Elsewhere) -> Place:
    """An empty home and folder for one client."""
    return new_place(tmp_path, elsewhere.environment)


@pytest.fixture
def claude_code(place: Place, outside: Outside) -> ClaudeCode:
    """With the demo customer's key."""
    return ClaudeCode(place=place, base_url=outside.base_url, key=outside.key)


@pytest.fixture
def codex(place: Place, outside: Outside) -> Codex:
    """With the demo customer's key."""
    return Codex(place=place, base_url=outside.base_url, key=outside.key)


@pytest.fixture
def gemini_cli(place: Place, outside: Outside) -> GeminiCli:
    """With the demo customer's key."""
    return GeminiCli(place=place, base_url=outside.base_url, key=outside.key)
