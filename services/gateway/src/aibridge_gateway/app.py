"""The composition root of the gateway."""

from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager
from functools import partial

import anyio
from litestar import Litestar, asgi
from litestar.types import Receive, Scope, Send

from aibridge_common.bus.nats import Bus
from aibridge_common.clients.auth import AuthClient
from aibridge_common.clients.billing import BillingClient
from aibridge_common.clock import SystemClock
from aibridge_common.dialect import EXACT, NATIVE_PREFIX
from aibridge_common.web.drain import Drain
from aibridge_common.web.health import health_routes
from aibridge_common.web.overload import Limiter, watch_lag
from aibridge_common.web.problems import problem_details
from aibridge_common.web.tasks import supervised
from aibridge_gateway.edge.account import account_routes
from aibridge_gateway.edge.addresses import ClientAddresses
from aibridge_gateway.edge.admission import Admission
from aibridge_gateway.edge.forward import Forwarder, RouterAt
from aibridge_gateway.edge.keyring import Keyring
from aibridge_gateway.edge.relay import Relay
from aibridge_gateway.settings import Settings


class Running:
    """What exists only while the service runs."""

    def __init__(self) -> None:
        self.relay: Relay | None = None


def create_app(settings: Settings, drain: Drain) -> Litestar:
    """The public data plane; whoever serves it starts `drain`."""
    auth = AuthClient(settings.auth_url, settings.service_token)
    billing = BillingClient(settings.billing_url, settings.service_token)
    clock = SystemClock()
    keyring = Keyring(auth, clock)
    limiter = Limiter(settings.concurrency_max, settings.lag_max_ms / 1000)
    admission = Admission(limiter, settings.account_concurrency_max)
    addresses = ClientAddresses(settings.trusted_proxies)
    routers = RouterAt.parse(settings.router_url)
    state = Running()

    async def relay(scope: Scope, receive: Receive, send: Send) -> None:
        assert state.relay is not None, "the server serves only after start-up"
        await state.relay(scope, receive, send)

    async def started() -> bool:
        # Not the bus: without it keys are only believed for a shorter time, and a gateway must not go for that.
        return state.relay is not None

    @asynccontextmanager
    async def running(_app: Litestar) -> AsyncGenerator[None]:
        bus = await Bus.connect(settings.nats_url.reveal(), "gateway")
        await keyring.listen(bus)
        forwarder = Forwarder(routers)
        drain.on_last_call(forwarder.last_call)
        state.relay = Relay(
            keyring, addresses, admission, forwarder, drain, clock, settings.service_token
        )
        try:
            async with anyio.create_task_group() as tasks:
                tasks.start_soon(supervised, "overload", partial(watch_lag, limiter))
                yield
                tasks.cancel_scope.cancel()
        finally:
            forwarder.close()
            await bus.close()
            await auth.close()
            await billing.close()

    return Litestar(
        [
            asgi([path for path in EXACT if not path.endswith("/models")], copy_scope=False)(relay),
            *(
                asgi(prefix, is_mount=True, copy_scope=False)(relay)
                for prefix in (NATIVE_PREFIX, "/v1/models", "/v1beta/models")
            ),
            *account_routes(keyring, addresses, billing),
            *health_routes({"started": started, "accepting": drain.accepting}),
        ],
        plugins=[problem_details()],
        lifespan=[running],
        openapi_config=None,
        logging_config=None,
    )
