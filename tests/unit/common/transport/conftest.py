"""Transport tests run on asyncio's own loop and on uvloop, which production uses."""

import asyncio
import ssl
from collections.abc import AsyncIterator, Callable
from pathlib import Path
from typing import Any

import pytest

from aibridge_common.transport import Origin, Pool
from aibridge_common.transport.connection import Connection

from .certificates import Certificate, issue

OpenPool = Callable[..., Pool]


@pytest.fixture(params=[False, True], ids=["asyncio", "uvloop"])
def anyio_backend(request: pytest.FixtureRequest) -> tuple[str, dict[str, Any]]:
    return "asyncio", {"use_uvloop": request.param}


@pytest.fixture
async def open_pool() -> AsyncIterator[OpenPool]:
    """Makes pools; when the test is over they must leave neither a connection nor a timer behind."""
    pools: list[Pool] = []

    def make(origin: Origin, **options: Any) -> Pool:
        pools.append(Pool(origin, **options))
        return pools[-1]

    yield make
    for pool in pools:
        pool.close()
    await asyncio.sleep(0.01)

    assert [0] * len(pools) == [pool.open_connections for pool in pools]
    assert _timers_of_connections() == []


def _timers_of_connections() -> list[object]:
    """Only asyncio's own loop lets us look; uvloop keeps its timers to itself."""
    scheduled: list[asyncio.TimerHandle] = getattr(asyncio.get_running_loop(), "_scheduled", [])
    owners = [
        getattr(getattr(handle, "_callback", None), "__self__", None)
        for handle in scheduled
        if not handle.cancelled()
    ]
    return [owner for owner in owners if isinstance(owner, Connection)]


@pytest.fixture(scope="session")
def certificate(tmp_path_factory: pytest.TempPathFactory) -> Certificate:
    return issue(tmp_path_factory.mktemp("tls"), "localhost")


@pytest.fixture
def server_tls(certificate: Certificate) -> ssl.SSLContext:
    context = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
    context.load_cert_chain(certificate.certificate_file, certificate.key_file)
    return context


@pytest.fixture
def trusting(certificate: Certificate) -> ssl.SSLContext:
    return ssl.create_default_context(cafile=certificate.certificate_file)


@pytest.fixture
def socket_path(tmp_path: Path) -> Path:
    return tmp_path / "s"
