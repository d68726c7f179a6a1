"""The composition root of billing."""

from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager
from functools import partial

import anyio
from litestar import Litestar, Router
from litestar.di import Provide
from litestar.openapi import OpenAPIConfig

from aibridge_billing.adjustments.controllers import AccountController, AdjustmentController
from aibridge_billing.leases.controllers import LeaseController
from aibridge_billing.leases.sweeper import run_sweeper
from aibridge_billing.metering.applied import run_compaction
from aibridge_billing.metering.consumer import UsageConsumer, usage_stream
from aibridge_billing.metering.controllers import MeteringController
from aibridge_billing.metering.metrics import measure_consumer, measure_ledger
from aibridge_billing.metering.settlement import Settlement
from aibridge_billing.payments.controllers import OrderController, stripe_notice
from aibridge_billing.payments.desk import PaymentDesk
from aibridge_billing.payments.lookout import run_lookout
from aibridge_billing.payments.notices import StripeNotices
from aibridge_billing.payments.opening import open_providers
from aibridge_billing.payments.pay_page import choose_payment, show_payment
from aibridge_billing.payments.sandbox import Sandbox
from aibridge_billing.payments.stripe import StripePayments
from aibridge_billing.pricing.book import PriceBook
from aibridge_billing.pricing.controllers import RateCardController
from aibridge_billing.products.controllers import ProductController
from aibridge_billing.receipts.controllers import ReceiptController
from aibridge_billing.refunds.controllers import RefundController
from aibridge_billing.refunds.service import Refunds
from aibridge_billing.settings import Settings
from aibridge_billing.usage_reports.controllers import UsageReportController
from aibridge_common.bus.durability import warn_unless_durable
from aibridge_common.bus.nats import Bus
from aibridge_common.clock import SystemClock
from aibridge_common.db.engine import answers, open_database
from aibridge_common.db.idempotency import run_forgetting
from aibridge_common.settings import parse_tokens
from aibridge_common.web.audit import AuditController
from aibridge_common.web.caller import calling
from aibridge_common.web.database import DATABASE_PROBLEMS
from aibridge_common.web.guard import ServiceGuard
from aibridge_common.web.health import health_routes
from aibridge_common.web.idempotency import idempotent
from aibridge_common.web.metrics import Measured, metrics_route
from aibridge_common.web.openapi import with_refusals
from aibridge_common.web.problems import problem_details
from aibridge_common.web.tasks import supervised

SCHEMA = "billing"
CONFINED = {
    "gateway": frozenset({"GetBalance", "ListUsage", "ListReceipts", "GetReceipts"}),
    "router": frozenset(
        {"ListRateCards", "AcquireLease", "ExtendLease", "ReleaseLease", "GetSpool", "SumUsage"}
    ),
}
"""What serves requests neither pays, refunds nor gives tokens away."""


def create_app(settings: Settings) -> Litestar:
    """Billing's API and, in the same process, the consumer that settles usage."""
    database = open_database(settings.database_url.reveal(), SCHEMA)
    buses: list[Bus] = []
    consumers: list[UsageConsumer] = []
    desk = PaymentDesk(database, open_providers(settings, database))

    def refunds() -> Refunds:
        return Refunds(database, buses[0], desk)

    def stripe_notices() -> StripeNotices | None:
        payments = desk.find(StripePayments)
        secret = settings.stripe_webhook_secret
        if payments is None or secret is None or not secret.reveal().strip():
            return None
        return StripeNotices(database, buses[0], payments, secret, SystemClock())

    async def database_ready() -> bool:
        return await answers(database)

    async def bus_ready() -> bool:
        return bool(buses) and buses[0].connected

    @asynccontextmanager
    async def running(_app: Litestar) -> AsyncGenerator[None]:
        bus = await Bus.connect(settings.nats_url.reveal(), "billing")
        buses.append(bus)
        await warn_unless_durable(settings.nats_monitor_url)
        await bus.ensure_stream(usage_stream(settings.stream_replicas))
        settlement = Settlement(database, PriceBook(database))
        consumer = UsageConsumer(bus, settlement, SystemClock(), settings.stream_replicas)
        consumers.append(consumer)
        try:
            async with anyio.create_task_group() as tasks:
                tasks.start_soon(supervised, "usage consumer", consumer.run)
                tasks.start_soon(supervised, "lease sweeper", partial(run_sweeper, database))
                tasks.start_soon(supervised, "compaction", partial(run_compaction, database))
                tasks.start_soon(supervised, "lookout", partial(run_lookout, database, desk))
                tasks.start_soon(supervised, "refunds", refunds().run)
                tasks.start_soon(supervised, "forgetting", partial(run_forgetting, database))
                yield
                tasks.cancel_scope.cancel()
        finally:
            if (payments := desk.find(StripePayments)) is not None:
                await payments.close()
            await bus.close()
            await database.dispose()

    async def measure() -> list[Measured]:
        return measure_consumer(consumers[0].counters) + await measure_ledger(database)

    guard = ServiceGuard(parse_tokens(settings.service_tokens), CONFINED)
    api = Router(
        "/",
        route_handlers=[
            ProductController,
            OrderController,
            RefundController,
            AdjustmentController,
            AccountController,
            UsageReportController,
            RateCardController,
            AuditController,
            LeaseController,
            MeteringController,
            ReceiptController,
        ],
        guards=[guard],
        dependencies={
            "caller": Provide(calling(guard), sync_to_thread=False),
            "call": Provide(idempotent(guard)),
            "refunds": Provide(refunds, sync_to_thread=False),
            "adjustment_limit_tokens": Provide(
                lambda: settings.adjustment_limit_tokens, sync_to_thread=False
            ),
        },
    )
    return with_refusals(
        Litestar(
            [
                api,
                stripe_notice,
                show_payment,
                choose_payment,
                metrics_route(guard, measure),
                *health_routes({"database": database_ready, "bus": bus_ready}),
            ],
            dependencies={
                "database": Provide(lambda: database, sync_to_thread=False),
                "bus": Provide(lambda: buses[0], sync_to_thread=False),
                "desk": Provide(lambda: desk, sync_to_thread=False),
                "sandbox": Provide(lambda: desk.find(Sandbox), sync_to_thread=False),
                "notices": Provide(stripe_notices, sync_to_thread=False),
            },
            plugins=[problem_details(DATABASE_PROBLEMS)],
            lifespan=[running],
            openapi_config=OpenAPIConfig(title="AI-Bridge billing", version="1"),
            logging_config=None,
        )
    )
