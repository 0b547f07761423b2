"""OpenTelemetry: the real SDK gets spans under the caller's span, and metrics without namespaces."""

from __future__ import annotations

import asyncio

import pytest

from memory_mgr import InvalidInputError, MemoryConfig, MemoryManager, SyncMemoryManager

pytest.importorskip("opentelemetry.sdk", reason="the SDK comes with the extra [dev]")

from opentelemetry.sdk.metrics import MeterProvider
from opentelemetry.sdk.metrics.export import InMemoryMetricReader
from opentelemetry.sdk.trace import TracerProvider
from opentelemetry.sdk.trace.export import SimpleSpanProcessor
from opentelemetry.sdk.trace.export.in_memory_span_exporter import InMemorySpanExporter
from opentelemetry.trace import StatusCode

from memory_mgr.otel import OpenTelemetry


class Recorded:
    """An SDK that keeps what it is given."""

    def __init__(self) -> None:
        self.spans = InMemorySpanExporter()
        self.tracers = TracerProvider()
        self.tracers.add_span_processor(SimpleSpanProcessor(self.spans))
        self.reader = InMemoryMetricReader()
        self.hook = OpenTelemetry(
            tracer_provider=self.tracers, meter_provider=MeterProvider(metric_readers=[self.reader])
        )

    def points(self) -> dict[str, list[dict[str, object]]]:
        """Attributes of the points by metric."""
        data = self.reader.get_metrics_data()
        assert data is not None
        metrics = data.resource_metrics[0].scope_metrics[0].metrics
        return {metric.name: [dict(point.attributes or {}) for point in metric.data.data_points] for metric in metrics}


def test_calls_become_spans_with_counts_and_times(config: MemoryConfig) -> None:
    """Name, namespace and counts are attributes; a failed call has an error status."""
    recorded = Recorded()
    with SyncMemoryManager(config, on_event=recorded.hook) as memory:
        memory.add_memory("tea is green")
        with pytest.raises(InvalidInputError):
            memory.search_memory("tea", "no such tier")
    add, search = recorded.spans.get_finished_spans()
    assert add.name == "memory_mgr.add"
    assert dict(add.attributes or {}) == {"memory.namespace": "tests", "memory.entries": 1}
    assert (add.end_time or 0) > (add.start_time or 0) > 1e18
    assert search.status.status_code is StatusCode.ERROR
    assert (search.attributes or {})["error.type"] == "InvalidInputError"


def test_a_span_is_a_child_of_the_callers(config: MemoryConfig) -> None:
    """Through the async face and its worker threads too."""
    recorded = Recorded()

    async def use() -> None:
        async with MemoryManager(config, on_event=recorded.hook) as memory:
            with recorded.tracers.get_tracer("app").start_as_current_span("request"):
                await memory.search_memory("tea")

    asyncio.run(use())
    search, request = recorded.spans.get_finished_spans()
    assert search.parent is not None
    assert search.parent.span_id == request.context.span_id


def test_metrics_are_by_operation_and_not_by_namespace(config: MemoryConfig) -> None:
    """A histogram of seconds and one of counts."""
    recorded = Recorded()
    with SyncMemoryManager(config, on_event=recorded.hook) as memory:
        memory.add_memory("tea is green")
        memory.search_memory("tea")
    points = recorded.points()
    assert points["memory_mgr.duration"] == [{"memory.operation": "add"}, {"memory.operation": "search"}]
    assert points["memory_mgr.count"] == [
        {"memory.operation": "add", "memory.counted": "entries"},
        {"memory.operation": "search", "memory.counted": "entries"},
    ]
