"""Fixtures for every test: real servers, a database per module, the whole product."""

from collections.abc import Iterator
from pathlib import Path

import pytest
from anyio.from_thread import BlockingPortal, start_blocking_portal
from xdist.remote import Producer

from aibridge_devstack.record import DevRecord

from .fixtures.backends import choose_backend, open_backend
from .fixtures.databases import create_database, drop_database
from .fixtures.groups import GroupScheduling
from .fixtures.infra import Infra
from .fixtures.product import product
from .fixtures.tiny_disk import tiny_disk_at


def pytest_xdist_make_scheduler(config: pytest.Config, log: Producer) -> GroupScheduling:
    """Tests that share a product stay together."""
    return GroupScheduling(config, log)


@pytest.fixture(scope="session")
def anyio_backend() -> str:
    return "asyncio"


@pytest.fixture
def tiny_disk(tmp_path: Path) -> Iterator[Path]:
    """A disk that a test can fill."""
    with tiny_disk_at(tmp_path / "disk") as folder:
        yield folder


@pytest.fixture(scope="session")
def portal() -> Iterator[BlockingPortal]:
    """An event loop in a thread, for servers that outlive the loop of one test."""
    with start_blocking_portal() as running:
        yield running


@pytest.fixture(scope="session")
def infra(tmp_path_factory: pytest.TempPathFactory, portal: BlockingPortal) -> Iterator[Infra]:
    """(database_url, nats_url) of real servers; the role may create databases and roles."""
    with open_backend(choose_backend(), tmp_path_factory.mktemp("infra"), portal) as running:
        yield running


@pytest.fixture(scope="session")
def nats_url(infra: Infra) -> str:
    """JetStream is on. The session shares the server: name streams and subjects of your own."""
    return infra.nats_url


@pytest.fixture(scope="module")
def database(infra: Infra, portal: BlockingPortal) -> Iterator[str]:
    """The superuser's URL of an empty database for this module, dropped after it."""
    url = portal.call(create_database, infra.database_url)
    yield url
    portal.call(drop_database, infra.database_url, url)


@pytest.fixture(scope="session")
def stack_folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Where the running product keeps its home (`home`) and its output (`log`)."""
    return tmp_path_factory.mktemp("stack")


@pytest.fixture(scope="session")
def stack(stack_folder: Path) -> Iterator[DevRecord]:
    """The running product, as `aibridge-dev up` records it; its end must be clean."""
    with product(stack_folder) as record:
        yield record
