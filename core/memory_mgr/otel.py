"""OpenTelemetry (extra `[otel]`): spans and metrics made of events.

    from memory_mgr.otel import OpenTelemetry

    memory = MemoryManager(path="./memory", on_event=OpenTelemetry())

A span of a call is a child of the span that was current when the call was made. Without an OpenTelemetry SDK set up by
the application nothing is recorded and nothing is sent; this module never sends anything itself.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from memory_mgr.errors import MissingDependencyError
from memory_mgr.events import Event

if TYPE_CHECKING:
    from opentelemetry.metrics import MeterProvider
    from opentelemetry.trace import TracerProvider

_SCOPE = "memory_mgr"
_NANOSECONDS = 1e9


class OpenTelemetry:
    """An `on_event` hook that records a span and metrics of each event.

    Spans are called `memory_mgr.<event>`; their attributes are `memory.namespace` and `memory.<count>`. Metrics are
    the histogram `memory_mgr.duration` (seconds) and the histogram `memory_mgr.count`, both by `memory.operation`, the
    latter by `memory.counted` too, and by `error.type` where there was one. Metrics do not carry the namespace: there
    may be one a user.

    Args:
        tracer_provider: Default: the global one.
        meter_provider: Default: the global one.

    Raises:
        MissingDependencyError: opentelemetry-api is not installed.
    """

    def __init__(
        self, *, tracer_provider: TracerProvider | None = None, meter_provider: MeterProvider | None = None
    ) -> None:
        try:
            from opentelemetry import metrics, trace
        except ModuleNotFoundError as error:
            raise MissingDependencyError("opentelemetry-api", "otel", "OpenTelemetry") from error
        from memory_mgr import __version__

        self._trace = trace
        self._tracer = trace.get_tracer(_SCOPE, __version__, tracer_provider)
        meter = metrics.get_meter(_SCOPE, __version__, meter_provider)
        self._seconds = meter.create_histogram("memory_mgr.duration", unit="s", description="Time of a call.")
        self._counted = meter.create_histogram("memory_mgr.count", description="Entries, tokens and such of a call.")

    def __call__(self, event: Event) -> None:
        """Record one event."""
        self._span(event)
        operation = {"memory.operation": event.name}
        failed = {} if event.error is None else {"error.type": event.error}
        self._seconds.record(event.seconds, operation | failed)
        for name, count in event.counts.items():
            self._counted.record(count, operation | {"memory.counted": name})

    def _span(self, event: Event) -> None:
        start = int(event.started_at.timestamp() * _NANOSECONDS)
        counts = {f"memory.{name}": count for name, count in event.counts.items()}
        span = self._tracer.start_span(f"memory_mgr.{event.name}", start_time=start, attributes=counts)
        span.set_attribute("memory.namespace", "/".join(event.namespace))
        if event.error is not None:
            span.set_attribute("error.type", event.error)
            span.set_status(self._trace.StatusCode.ERROR)
        span.end(start + int(event.seconds * _NANOSECONDS))
