"""What AI-Bridge is made of on one machine: its jobs and services, as data for the supervisor."""

from collections.abc import Callable, Mapping
from pathlib import Path

from msgspec import Struct

from aibridge_devstack.addresses import Addresses
from aibridge_devstack.credentials import Credentials
from aibridge_devstack.database import DATABASE
from aibridge_devstack.environment import service_environment, shared_environment
from aibridge_devstack.home import Home
from aibridge_devstack.llm import MODEL
from aibridge_devstack.nats import nats_service, nats_url
from aibridge_devstack.ports import LOOPBACK
from aibridge_devstack.postgres import SUPERUSER, postgres_service, postgres_url
from aibridge_devstack.probes import HttpProbe
from aibridge_devstack.service import Job, Service
from aibridge_devstack.vendors import Vendor

ADMIN_EMAIL = "admin@aibridge.example"
DEMO_EMAIL = "demo@aibridge.example"


class Stack(Struct, frozen=True, kw_only=True):
    """Everything that was decided before the first process starts."""

    home: Home
    environ: Mapping[str, str]
    credentials: Credentials
    addresses: Addresses
    catalog: Path
    vendors: tuple[Vendor, ...]
    find_program: Callable[[str], Path]
    llm: bool = False
    """Whether the tiny language model runs beside the stand-ins."""

    @property
    def roles(self) -> dict[str, str]:
        """The database roles with their passwords."""
        known = self.credentials
        return {
            "aibridge_auth": known.auth_password,
            "aibridge_billing": known.billing_password,
            "aibridge_router": known.router_password,
        }

    @property
    def key_variables(self) -> frozenset[str]:
        """Environment variables that hold a vendor's key."""
        return frozenset(name for vendor in self.vendors for name in vendor.variables)

    @property
    def nats_url(self) -> str:
        """With user and password."""
        return nats_url(port=self.addresses.ports.nats, password=self.credentials.nats_password)

    @property
    def spool(self) -> Path:
        """The router's folder for usage that is not settled yet."""
        return self.home.spool

    def database_url(self, role: str = SUPERUSER, *, database: str = DATABASE) -> str:
        """With role and password."""
        password = self.roles.get(role, self.credentials.postgres_password)
        port = self.addresses.ports.postgres
        return postgres_url(port=port, password=password, role=role, database=database)

    def servers(self) -> tuple[Service, Service]:
        """PostgreSQL and NATS."""
        ports, known = self.addresses.ports, self.credentials
        return (
            postgres_service(
                self.home.postgres, port=ports.postgres, password=known.postgres_password
            ),
            nats_service(
                self.home.nats,
                port=ports.nats,
                monitor_port=ports.nats_monitor,
                password=known.nats_password,
            ),
        )

    def sandbox(self) -> Service:
        """The stand-in vendors."""
        return Service(
            name="sandbox",
            argv=(
                *(str(self.find_program("aibridge-sandbox")), "serve", "--host", LOOPBACK),
                *("--port", str(self.addresses.ports.sandbox)),
                *("--log", str(self.home.sandbox_log)),
            ),
            env=shared_environment(self),
            probe=HttpProbe(origin=self.addresses.sandbox_url, path="/_sandbox/health"),
            folder=self.home.root,
        )

    def tinyllm(self) -> Service:
        """The tiny language model; unpacking it takes some seconds, on a busy machine many."""
        return Service(
            name="tinyllm",
            argv=(
                *(str(self.find_program("aibridge-tinyllm")), "serve", "--host", LOOPBACK),
                *("--port", str(self.addresses.ports.tinyllm), "--model", MODEL),
            ),
            env=shared_environment(self),
            probe=HttpProbe(origin=self.addresses.tinyllm_url, path="/health"),
            folder=self.home.root,
            ready_timeout_s=180.0,
        )

    def services(self) -> tuple[Service, ...]:
        """Ours, in the order of who calls whom; they stop in the opposite order."""
        at = self.addresses
        return (
            self._service("auth", origin=at.auth_url),
            self._service("billing", origin=at.billing_url),
            self._service("router", origin=at.router_url),
            self._service("gateway", origin=at.gateway_url),
        )

    def new_key(self) -> Job:
        """Prints a fresh, well-formed client key."""
        return self._job("auth", "new-key")

    def migrate(self, name: str) -> Job:
        """Brings one service's schema to the newest version."""
        return self._job(name, "migrate")

    def seed_auth(self) -> Job:
        """Prints the demo account's id as JSON. The secrets travel in the environment."""
        return self._job("auth", "seed", "--admin-email", ADMIN_EMAIL, "--demo-email", DEMO_EMAIL)

    def seed_billing(self, demo_account_id: str) -> Job:
        """Prints the demo account's balance as JSON."""
        return self._job(
            "billing", "seed", *("--catalog", str(self.catalog), "--demo-account", demo_account_id)
        )

    def seed_router(self) -> Job:
        """The catalogue, with the sandbox in place of vendors whose key we do not have."""
        stand_ins = [
            part
            for vendor in self.vendors
            if vendor.answers == "sandbox"
            for part in (
                "--stand-in",
                f"{vendor.name}={self.addresses.sandbox_url}/{vendor.name}",
            )
        ]
        return self._job("router", "seed", "--catalog", str(self.catalog), *stand_ins)

    def _service(self, name: str, *, origin: str) -> Service:
        return Service(
            name=name,
            argv=(str(self.find_program(f"aibridge-{name}")), "serve"),
            env=service_environment(name, self),
            probe=HttpProbe(origin=origin, path="/readyz"),
            folder=self.home.root,
        )

    def _job(self, name: str, *command: str) -> Job:
        return Job(
            name=f"aibridge-{name} {command[0]}",
            argv=(str(self.find_program(f"aibridge-{name}")), *command),
            env=service_environment(name, self),
            folder=self.home.root,
        )
