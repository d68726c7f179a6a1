"""Whether an acknowledged message is on the disk of the bus: it is only with `sync_interval: always`."""

import httpx
import msgspec
from msgspec import Struct

from aibridge_common.telemetry.log import get_logger

TIMEOUT_S = 3.0


class _Config(Struct, frozen=True):
    sync_always: bool = False


class _JetStream(Struct, frozen=True):
    config: _Config = _Config()


class _Server(Struct, frozen=True):
    jetstream: _JetStream = _JetStream()


async def warn_unless_durable(monitor_url: str) -> None:
    """Ask the server's monitor, and log what an operator should know. A client's connection does not tell."""
    log = get_logger()
    hint = "set sync_interval: always in the server's jetstream block"
    if not monitor_url:
        log.warning("bus.durability_unknown", hint="set NATS_MONITOR_URL, http://<server>:8222")
        return
    try:
        async with httpx.AsyncClient(timeout=TIMEOUT_S, trust_env=False) as http:
            answer = await http.get(f"{monitor_url.rstrip('/')}/varz")
            answer.raise_for_status()
        server = msgspec.json.decode(answer.content, type=_Server)
    except (httpx.HTTPError, httpx.InvalidURL, msgspec.DecodeError) as error:
        log.warning("bus.durability_unknown", error=type(error).__name__, hint=hint)
        return
    if not server.jetstream.config.sync_always:
        log.warning("bus.not_durable", hint=hint)
