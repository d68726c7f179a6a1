"""Where each server of a stack listens."""

from collections.abc import Mapping
from pathlib import Path

import msgspec
from msgspec import Struct

from aibridge_devstack.failure import StartFailed
from aibridge_devstack.home import Home
from aibridge_devstack.ports import LOOPBACK, free_ports, is_free
from aibridge_devstack.private_file import write_private

DEFAULT_PORT = 3001


class Ports(Struct, frozen=True, kw_only=True):
    """Kept from run to run where they are still free, so that addresses stay the same."""

    postgres: int = 0
    nats: int = 0
    nats_monitor: int = 0
    sandbox: int = 0
    auth: int = 0
    billing: int = 0
    tinyllm: int = 0


class Addresses(Struct, frozen=True, kw_only=True):
    """Of one run."""

    gateway_port: int
    ports: Ports
    router_socket: Path

    @property
    def gateway_url(self) -> str:
        """The one address that clients use."""
        return _http(self.gateway_port)

    @property
    def auth_url(self) -> str:
        """Internal."""
        return _http(self.ports.auth)

    @property
    def billing_url(self) -> str:
        """Internal."""
        return _http(self.ports.billing)

    @property
    def router_url(self) -> str:
        """Internal; a Unix socket, since the gateway is on the same machine."""
        return f"unix:{self.router_socket}"

    @property
    def sandbox_url(self) -> str:
        """The stand-in vendors; each has a path of its own below."""
        return _http(self.ports.sandbox)

    @property
    def tinyllm_url(self) -> str:
        """The tiny language model, where it was asked for."""
        return _http(self.ports.tinyllm)


def choose_addresses(home: Home, environ: Mapping[str, str]) -> Addresses:
    """Raises `StartFailed` when the public port cannot be used."""
    given = environ.get("AIBRIDGE_PORT") or str(DEFAULT_PORT)
    if not given.isdecimal() or not 0 < int(given) < 65536:
        raise StartFailed(f"AIBRIDGE_PORT={given} is not a port.")
    gateway_port = int(given)
    if not is_free(gateway_port):
        raise StartFailed(
            f"Port {gateway_port} is taken by another program. Set AIBRIDGE_PORT to a free one, "
            f"for example: AIBRIDGE_PORT={free_ports(1)[0]} make dev"
        )
    return Addresses(
        gateway_port=gateway_port,
        ports=_choose_ports(home.root / "ports.json", public=gateway_port),
        router_socket=home.socket("router"),
    )


def _choose_ports(kept: Path, *, public: int) -> Ports:
    before = msgspec.json.decode(kept.read_bytes(), type=Ports) if kept.exists() else Ports()
    wanted = msgspec.structs.asdict(before)
    drawn = (port for port in free_ports(len(wanted) + 1) if port != public)
    chosen = {
        name: port if port not in {0, public} and is_free(port) else next(drawn)
        for name, port in wanted.items()
    }
    ports = Ports(**chosen)
    write_private(kept, msgspec.json.encode(ports))
    return ports


def _http(port: int) -> str:
    return f"http://{LOOPBACK}:{port}"
