"""What a real server's monitor says about its disk."""

import asyncio
import json
import subprocess
from collections.abc import Generator
from contextlib import contextmanager
from pathlib import Path

import httpx
import pytest
from structlog.testing import capture_logs

from aibridge_common.bus.durability import warn_unless_durable
from aibridge_devstack.binaries import nats_server
from aibridge_devstack.ports import free_ports

pytestmark = pytest.mark.anyio


@contextmanager
def server(folder: Path, **jetstream: str) -> Generator[str]:
    """Its monitor's address."""
    port, monitor = free_ports(2)
    config = folder / "nats.conf"
    settings = {
        "listen": f"127.0.0.1:{port}",
        "http": f"127.0.0.1:{monitor}",
        "jetstream": {"store_dir": str(folder / "store"), **jetstream},
    }
    config.write_text(json.dumps(settings))
    with subprocess.Popen(
        [nats_server(), "--config", config], stderr=subprocess.DEVNULL
    ) as process:
        yield f"http://127.0.0.1:{monitor}"
        process.terminate()


async def warnings(url: str) -> list[str]:
    if url:
        await answers(url)
    with capture_logs() as logs:
        await warn_unless_durable(url)
    return [str(line["event"]) for line in logs]


async def answers(url: str) -> None:
    async with asyncio.timeout(10), httpx.AsyncClient(trust_env=False) as http:
        while True:
            try:
                await http.get(f"{url}/varz")
            except httpx.HTTPError:
                await asyncio.sleep(0.05)
            else:
                return


async def test_one_that_waits_for_its_disk_is_fine(tmp_path: Path) -> None:
    with server(tmp_path, sync_interval="always") as url:
        assert await warnings(url) == []


async def test_one_that_does_not_is_warned_about(tmp_path: Path) -> None:
    with server(tmp_path) as url:
        assert await warnings(url) == ["bus.not_durable"]


@pytest.mark.parametrize("url", ["", "http://127.0.0.1:1", "http://["])
async def test_one_that_cannot_be_asked_is_warned_about(url: str) -> None:
    with capture_logs() as logs:
        await warn_unless_durable(url)

    assert [line["event"] for line in logs] == ["bus.durability_unknown"]
