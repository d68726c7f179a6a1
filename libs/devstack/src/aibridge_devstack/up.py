"""`aibridge-dev up`: the whole product, from an empty folder to a request that is answered."""

import asyncio
import os
from collections.abc import Callable, Mapping
from pathlib import Path

import msgspec
from msgspec import Struct

from aibridge_devstack.addresses import choose_addresses
from aibridge_devstack.binaries import program
from aibridge_devstack.child import Child
from aibridge_devstack.credentials import keep_credentials, load_credentials
from aibridge_devstack.database import ensure_database
from aibridge_devstack.echo import Echo
from aibridge_devstack.failure import StartFailed
from aibridge_devstack.foreground import foreground
from aibridge_devstack.home import Home
from aibridge_devstack.http_get import http_get
from aibridge_devstack.llm import MODEL, with_llm
from aibridge_devstack.lock import only_stack
from aibridge_devstack.postgres import ensure_cluster
from aibridge_devstack.prepare import new_demo_key, prepare
from aibridge_devstack.prepared import Prepared
from aibridge_devstack.progress import Progress
from aibridge_devstack.record import DevRecord, write_record
from aibridge_devstack.screen import screen
from aibridge_devstack.service import Service
from aibridge_devstack.stack import ADMIN_EMAIL, DEMO_EMAIL, Stack
from aibridge_devstack.supervisor import Supervisor
from aibridge_devstack.together import together
from aibridge_devstack.vendors import catalog_path, read_vendors


class _Model(Struct, frozen=True, kw_only=True):
    id: str


class _Models(Struct, frozen=True, kw_only=True):
    data: tuple[_Model, ...]


def up(
    environ: Mapping[str, str],
    echo: Echo,
    *,
    llm: bool = False,
    find_program: Callable[[str], Path] = program,
) -> int:
    """Run in the foreground; the exit code. `StartFailed` says why it cannot run."""
    home = Home.of(environ)
    home.create()
    with only_stack(home) as lock:
        home.record.unlink(missing_ok=True)
        addresses = choose_addresses(home, environ)
        catalog = catalog_path(environ)
        if llm:
            catalog = with_llm(catalog, kept=home.catalog_with_llm, url=addresses.tinyllm_url)
        stack = Stack(
            home=home,
            environ=environ,
            credentials=load_credentials(home.credentials),
            addresses=addresses,
            catalog=catalog,
            vendors=read_vendors(catalog, environ),
            find_program=find_program,
            llm=llm,
        )
        return asyncio.run(_Run(stack, echo).until_stopped(lock))


class _Run:
    def __init__(self, stack: Stack, echo: Echo) -> None:
        self._stack = stack
        self._echo = echo
        self._progress = Progress(echo)
        self._prepared: Prepared | None = None
        self._record: DevRecord | None = None
        self._refreshes: set[asyncio.Task[None]] = set()

    async def until_stopped(self, lock: int) -> int:
        supervisor = Supervisor(
            echo=self._echo,
            lock=lock,
            sign_of_life=self._stack.home.record,
            on_restart=self._restarted,
        )
        self._echo.say(f"AI-Bridge starts in {self._stack.home.root}")
        try:
            return await foreground(supervisor, self._start, on_stop=self._stop)
        finally:
            for refresh in self._refreshes:
                refresh.cancel()

    async def _start(self, supervisor: Supervisor) -> None:
        await together(self._start_servers(supervisor), self._ensure_demo_key(supervisor))
        # The vendors need no database: they start while the others wait for theirs.
        vendors = [self._stack.sandbox(), *([self._stack.tinyllm()] if self._stack.llm else [])]
        await together(
            *(self._ready(supervisor, vendor) for vendor in vendors),
            self._start_services(supervisor),
        )
        async with self._progress.step("a request with the demo key"):
            model = await self._check()
        self._publish(supervisor, model)

    async def _start_servers(self, supervisor: Supervisor) -> None:
        stack = self._stack
        if not (stack.home.postgres / "PG_VERSION").exists():
            async with self._progress.step("a new PostgreSQL cluster"):
                await ensure_cluster(
                    supervisor, stack.home.postgres, password=stack.credentials.postgres_password
                )
        servers = stack.servers()
        await together(*(self._ready(supervisor, server) for server in servers))
        await ensure_database(stack.database_url(database="postgres"), stack.roles)

    async def _start_services(self, supervisor: Supervisor) -> None:
        self._prepared = await prepare(supervisor, self._stack, self._progress)
        services = self._stack.services()
        await together(*(self._ready(supervisor, service) for service in services))

    async def _ensure_demo_key(self, supervisor: Supervisor) -> None:
        known = self._stack.credentials
        if known.demo_key:
            return
        known = msgspec.structs.replace(known, demo_key=await new_demo_key(supervisor, self._stack))
        keep_credentials(self._stack.home.credentials, known)
        self._stack = msgspec.structs.replace(self._stack, credentials=known)

    async def _ready(self, supervisor: Supervisor, service: Service) -> None:
        async with self._progress.step(service.name):
            await supervisor.start(service)

    async def _check(self) -> str:
        """The first model a client with the demo key is offered; the language model if it runs."""
        answer = await http_get(
            self._stack.addresses.gateway_url,
            "/v1/models",
            headers={"authorization": f"Bearer {self._stack.credentials.demo_key}"},
        )
        if answer is None or answer.status != 200:
            said = "nothing" if answer is None else f"{answer.status} {answer.body.decode()}"
            raise StartFailed(f"The gateway answered a request for the models with {said}")
        models = msgspec.json.decode(answer.body, type=_Models).data
        if not models:
            raise StartFailed("The gateway offers no model; does the catalogue have any?")
        offered = [model.id for model in models]
        return MODEL if self._stack.llm and MODEL in offered else offered[0]

    def _publish(self, supervisor: Supervisor, model: str) -> None:
        prepared = self._prepared
        assert prepared is not None
        stack, at, known = self._stack, self._stack.addresses, self._stack.credentials
        self._record = DevRecord(
            base_url=at.gateway_url,
            admin_email=ADMIN_EMAIL,
            admin_password=known.admin_password,
            demo_email=DEMO_EMAIL,
            demo_account_id=prepared.demo_account_id,
            demo_key=known.demo_key,
            auth_url=at.auth_url,
            billing_url=at.billing_url,
            router_url=at.router_url,
            nats_url=stack.nats_url,
            database_url=stack.database_url(),
            sandbox_url=at.sandbox_url,
            service_token=known.ops_token,
            vendors={vendor.name: vendor.answers for vendor in stack.vendors},
            pids=self._pids(supervisor),
        )
        write_record(stack.home.record, self._record)
        self._echo.say(
            screen(
                self._record,
                prepared=prepared,
                vendors=stack.vendors,
                model=model,
                took_s=self._progress.total_s,
            )
        )

    def _restarted(self, supervisor: Supervisor, child: Child) -> None:
        if self._record is not None:
            refresh = asyncio.create_task(self._refresh(supervisor, child))
            self._refreshes.add(refresh)
            refresh.add_done_callback(self._refreshes.discard)

    async def _refresh(self, supervisor: Supervisor, child: Child) -> None:
        """The record gets the new process id when the restarted child answers."""
        try:
            await child.ready()
        except StartFailed as failure:
            self._echo.say(str(failure))
            return
        if self._record is not None:
            self._record = msgspec.structs.replace(self._record, pids=self._pids(supervisor))
            write_record(self._stack.home.record, self._record)
            self._echo.say(f"{child.service.name} answers again")

    def _stop(self) -> None:
        self._record = None
        self._stack.home.record.unlink(missing_ok=True)
        self._echo.say("AI-Bridge stops")

    def _pids(self, supervisor: Supervisor) -> dict[str, int]:
        return {"supervisor": os.getpid(), **supervisor.pids}
