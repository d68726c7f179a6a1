"""What a service counts, as Prometheus reads it. Numbers only: no account, key or prompt is ever a label."""

from collections.abc import Awaitable, Callable, Iterable, Iterator
from typing import Literal

from litestar import Response, get
from litestar.handlers import HTTPRouteHandler
from msgspec import Struct
from prometheus_client import generate_latest
from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily
from prometheus_client.exposition import CONTENT_TYPE_LATEST
from prometheus_client.metrics_core import Metric
from prometheus_client.registry import Collector

from aibridge_common.web.guard import ServiceGuard


class Measured(Struct, frozen=True):
    """One number under its full name; the unit comes last in the name. A counter's name gets `_total`."""

    name: str
    help: str
    value: float
    kind: Literal["gauge", "counter"] = "gauge"


class _Collected(Collector):
    def __init__(self, measured: Iterable[Measured]) -> None:
        self._measured = measured

    def collect(self) -> Iterator[Metric]:
        for each in self._measured:
            family = CounterMetricFamily if each.kind == "counter" else GaugeMetricFamily
            yield family(each.name, each.help, value=each.value)


def exposition(measured: Iterable[Measured]) -> bytes:
    """Prometheus' text format."""
    return generate_latest(_Collected(measured))


def metrics_route(
    guard: ServiceGuard, measure: Callable[[], Awaitable[list[Measured]]]
) -> HTTPRouteHandler:
    """`GET /metrics`, for a scraper that has a service token."""

    @get("/metrics", operation_id="Metrics", include_in_schema=False, guards=[guard])
    async def metrics() -> Response[bytes]:
        return Response(exposition(await measure()), media_type=CONTENT_TYPE_LATEST)

    return metrics
