"""What each service is told, by environment: the settings' contract, in one place."""

import os
import sys
from collections.abc import Mapping
from pathlib import Path
from typing import Protocol

from aibridge_devstack.addresses import Addresses
from aibridge_devstack.credentials import Credentials
from aibridge_devstack.ports import LOOPBACK


class Wiring(Protocol):
    """What the settings are made of."""

    @property
    def environ(self) -> Mapping[str, str]: ...  # noqa: D102
    @property
    def key_variables(self) -> frozenset[str]: ...  # noqa: D102
    @property
    def addresses(self) -> Addresses: ...  # noqa: D102
    @property
    def credentials(self) -> Credentials: ...  # noqa: D102
    @property
    def nats_url(self) -> str: ...  # noqa: D102
    @property
    def spool(self) -> Path: ...  # noqa: D102
    def database_url(self, role: str) -> str: ...  # noqa: D102


def shared_environment(wiring: Wiring) -> dict[str, str]:
    """Ours without the vendors' keys; what belongs to this Python comes first on PATH."""
    own = wiring.environ
    environment = {name: own[name] for name in own.keys() - wiring.key_variables}
    environment["PYTHONUNBUFFERED"] = "1"
    environment["PATH"] = os.pathsep.join(
        [str(Path(sys.executable).parent), own.get("PATH", os.defpath)]
    )
    return environment


def service_environment(name: str, wiring: Wiring) -> dict[str, str]:
    """The settings of one service as `AIBRIDGE_<NAME>_<SETTING>`.

    Only the router gets to see the vendors' keys.
    """
    environment = shared_environment(wiring)
    if name == "router":
        own = wiring.environ
        environment |= {key: own[key] for key in own.keys() & wiring.key_variables}
    for setting, value in _settings(name, wiring).items():
        environment[f"AIBRIDGE_{name.upper()}_{setting}"] = value
    return environment


def _settings(name: str, wiring: Wiring) -> dict[str, str]:
    at, known = wiring.addresses, wiring.credentials
    if name == "gateway":
        return {
            "NATS_URL": wiring.nats_url,
            "LISTEN": f"{LOOPBACK}:{at.gateway_port}",
            "SERVICE_TOKEN": known.gateway_token,
            "AUTH_URL": at.auth_url,
            "ROUTER_URL": at.router_url,
            "BILLING_URL": at.billing_url,
            "DRAIN_S": _drain_s(name, wiring),
        }
    stored = {
        "NATS_URL": wiring.nats_url,
        "DATABASE_URL": wiring.database_url(f"aibridge_{name}"),
        "SERVICE_TOKENS": known.service_tokens,
    }
    match name:
        case "auth":
            return stored | {
                "LISTEN": f"{LOOPBACK}:{at.ports.auth}",
                "KEY_PEPPER": known.key_pepper,
                "PUBLIC_URL": at.gateway_url,
                "OUTBOX_DIR": str(wiring.spool.parent / "mail"),
                "ADMIN_PASSWORD": known.admin_password,
                "DEMO_KEY": known.demo_key,
            }
        case "billing":
            return stored | {
                "LISTEN": f"{LOOPBACK}:{at.ports.billing}",
                "NATS_MONITOR_URL": f"http://{LOOPBACK}:{at.ports.nats_monitor}",
                "SANDBOX_KEY": known.sandbox_key,
                "PUBLIC_URL": at.billing_url,
            }
        case _:
            return stored | {
                "LISTEN": at.router_url,
                "SERVICE_TOKEN": known.router_token,
                "BILLING_URL": at.billing_url,
                "SECRETS_KEY": known.secrets_key,
                "SPOOL_DIR": str(wiring.spool),
                "DRAIN_S": _drain_s(name, wiring),
            }


def _drain_s(name: str, wiring: Wiring) -> str:
    """A request that still runs when we stop gets this long, less than the supervisor waits."""
    return wiring.environ.get(f"AIBRIDGE_{name.upper()}_DRAIN_S", "10")
