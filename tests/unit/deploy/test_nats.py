# deploy/ is no member of the workspace, so the type checker does not find it.
# pyright: reportMissingImports=false
"""The users in nats.conf may do what their service does and no more, on a real server."""

import asyncio
import os
import re
import socket
import subprocess
from collections.abc import Iterator

import nats
import pytest

from aibridge_common.bus.nats import Bus, StreamSpec
from aibridge_common.events.changes import CATALOG_CHANGED_SUBJECT, PRICES_CHANGED_SUBJECT
from aibridge_common.events.keys import CHANGED_SUBJECT
from aibridge_common.events.usage import APPLIED_SUBJECT, STREAM, SUBJECT
from aibridge_devstack.binaries import nats_server
from aibridge_devstack.nats import _config
from deploy.check import ROOT, SERVICES

CONFIGURATION = ROOT / "deploy/k8s/base/nats"
PASSWORDS = {f"NATS_{name.upper()}_PASSWORD": "not-a-secret" for name in (*SERVICES, "peer")}
ENVIRONMENT = {**os.environ, **PASSWORDS, "NATS_SERVER_NAME": "nats-0"}
USAGE = StreamSpec(name=STREAM, subjects=[f"{SUBJECT}.>"], max_bytes=1_000_000)


@pytest.fixture(scope="module")
def address(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """Our configuration, but on loopback, a free port and a folder of the test."""
    folder = tmp_path_factory.mktemp("nats")
    text = (CONFIGURATION / "nats.conf").read_text("utf-8")
    with socket.create_server(("127.0.0.1", 0)) as probe:
        port = probe.getsockname()[1]
    text = text.replace("0.0.0.0:4222", f"127.0.0.1:{port}").replace("/data", str(folder))
    text = text.replace('http: "0.0.0.0:8222"\n', "")
    (folder / "nats.conf").write_text(text, "utf-8")
    command = [
        str(nats_server()),
        "--config",
        str(folder / "nats.conf"),
        "--log",
        str(folder / "l"),
    ]
    server = subprocess.Popen(command, env=ENVIRONMENT)
    yield f"127.0.0.1:{port}"
    server.terminate()
    server.wait(10)


@pytest.mark.parametrize("name", ["nats.conf", "cluster.conf"])
def test_the_server_accepts_the_configuration(name: str) -> None:
    command = [str(nats_server()), "-t", "--config", str(CONFIGURATION / name)]

    subprocess.run(command, env=ENVIRONMENT, check=True, capture_output=True)


@pytest.mark.parametrize(
    "configuration",
    [
        (CONFIGURATION / "nats.conf").read_text("utf-8"),
        _config(ROOT, port=1, monitor_port=2, password="p").decode(),
    ],
    ids=["deploy", "devstack"],
)
def test_what_the_server_acknowledged_is_on_its_disk(configuration: str) -> None:
    assert re.search(r'"?sync_interval"?: "?always"?', configuration)


@pytest.mark.anyio
async def test_usage_flows_from_router_to_billing(address: str) -> None:
    """The router may write usage and billing may take it; both may make the stream."""
    router, billing = await as_service(address, "router"), await as_service(address, "billing")
    await billing.ensure_stream(USAGE)
    await router.ensure_stream(USAGE)
    await router.append(f"{SUBJECT}.router-0", b"usage", "1")
    consumer = await billing.consumer(STREAM, "billing", f"{SUBJECT}.>")
    (message,) = await consumer.fetch(1, 2)
    await message.ack()

    assert message.data == b"usage"
    await router.close()
    await billing.close()


@pytest.mark.anyio
@pytest.mark.parametrize(
    ("speaker", "subject", "listeners"),
    [
        ("auth", CHANGED_SUBJECT, ["gateway", "router", "billing"]),
        ("billing", PRICES_CHANGED_SUBJECT, ["gateway", "router"]),
        ("router", CATALOG_CHANGED_SUBJECT, ["gateway", "router", "billing"]),
        ("billing", f"{APPLIED_SUBJECT}.router-0", ["router"]),
    ],
)
async def test_notices_reach_those_who_listen(
    address: str, speaker: str, subject: str, listeners: list[str]
) -> None:
    heard: asyncio.Queue[bytes] = asyncio.Queue()
    buses = [await as_service(address, name) for name in (speaker, *listeners)]
    for bus in buses[1:]:
        await bus.subscribe(subject, heard.put)
    await buses[0].publish(subject, b"notice")
    async with asyncio.timeout(5):
        for _ in listeners:
            assert await heard.get() == b"notice"
    for bus in buses:
        await bus.close()


@pytest.mark.anyio
@pytest.mark.parametrize(
    ("speaker", "subject"),
    [
        ("gateway", f"{SUBJECT}.router-0"),
        ("auth", f"{SUBJECT}.router-0"),
        ("billing", f"{SUBJECT}.router-0"),
        ("gateway", CHANGED_SUBJECT),
        ("router", CHANGED_SUBJECT),
        ("auth", PRICES_CHANGED_SUBJECT),
        ("gateway", f"{APPLIED_SUBJECT}.router-0"),
        ("router", f"{APPLIED_SUBJECT}.router-0"),
        ("router", f"$JS.API.CONSUMER.DELETE.{STREAM}.billing"),
    ],
)
async def test_nobody_speaks_for_another(address: str, speaker: str, subject: str) -> None:
    refused: asyncio.Queue[Exception] = asyncio.Queue()
    url = f"nats://{speaker}:not-a-secret@{address}"
    client = await nats.connect(url, error_cb=refused.put)
    await client.publish(subject, b"forged")
    async with asyncio.timeout(5):
        error = await refused.get()
    await client.close()

    assert "permissions violation for publish" in str(error).lower()


async def as_service(address: str, name: str) -> Bus:
    return await Bus.connect(f"nats://{name}:not-a-secret@{address}", name)
