"""OpenTelemetry: a span for each delivery between the job's producer and its processor, and metrics of jobs.

Import this module only if the server is to trace: it needs the extra `otel`.
"""

from __future__ import annotations

import time
import typing as t
from urllib.parse import urlsplit

from opentelemetry import metrics, propagate, trace
from opentelemetry.trace import SpanKind, Status, StatusCode

from nextmq_handler._package import __version__
from nextmq_handler.protocol.outcomes import Completed, Delayed, Failed, WaitingChildren
from nextmq_handler.telemetry import attributes_of, delivery_headers, harmless, trace_headers

from ..engine.queues.job import EngineJob
from ..engine.verdicts import Verdict

if t.TYPE_CHECKING:
    from opentelemetry.metrics import Counter, Histogram, MeterProvider
    from opentelemetry.trace import Span, TracerProvider

_COUNTERS = ("completed", "failed", "retried", "delayed", "waiting_children")
"""The metrics `bullmq.jobs.*` that this server counts, with the names that Node's workers use."""


class Tracing:
    """Start the spans of deliveries. By default with the providers that the process has set."""

    def __init__(
        self, tracer_provider: TracerProvider | None = None, meter_provider: MeterProvider | None = None
    ) -> None:
        self._tracer = trace.get_tracer("nextmq_server", __version__, tracer_provider)
        meter = metrics.get_meter("nextmq_server", __version__, meter_provider)
        self._duration = meter.create_histogram(
            "messaging.client.operation.duration", "s", "Duration of a delivery to the app"
        )
        self._counters = {name: meter.create_counter(f"bullmq.jobs.{name}", "{job}") for name in _COUNTERS}

    def start(self, queue: str, url: str, job: EngineJob, id: str) -> TracedDelivery:
        """Start the span `deliver {queue}`, a child of the job's creation."""
        return TracedDelivery(self._tracer, self._duration, self._counters, queue, url, job, id)


class TracedDelivery:
    """The span of one delivery. `headers` carry it to the app. Nothing here raises."""

    def __init__(
        self,
        tracer: trace.Tracer,
        duration: Histogram,
        counters: dict[str, Counter],
        queue: str,
        url: str,
        job: EngineJob,
        id: str,
    ) -> None:
        self.headers = created = delivery_headers(job.opts)
        self._duration = duration
        self._counters = counters
        self._started_at = time.monotonic()
        self._labels = attributes_of("process", "deliver", queue)
        self._span: Span | None = None
        with harmless("starting a span"):
            host = urlsplit(url)
            attributes = attributes_of("process", "deliver", queue, job.name, job.id)
            more: dict[str, str | int] = {
                "nextmq.delivery_id": id,
                "bullmq.job.attempts.made": job.attempts_made,
                "server.address": host.hostname or "",
                "http.request.method": "POST",
            }
            parent = propagate.extract(created)
            span = tracer.start_span(f"deliver {queue}", parent, SpanKind.CLIENT, {**attributes, **more})
            self._span = span
            carrier: dict[str, str] = {}
            propagate.inject(carrier, trace.set_span_in_context(span, parent))
            self.headers = trace_headers(carrier) or created

    def answered(self, status: int | None, verdict: Verdict, *, is_final: bool) -> None:
        """Take note of how the delivery ended."""
        with harmless("describing a span"):
            labels = dict(self._labels)
            if isinstance(verdict, Failed):
                labels["error.type"] = verdict.name
            self._duration.record(time.monotonic() - self._started_at, labels)
            counter = _counter_of(verdict, is_final=is_final)
            if counter is not None:
                self._counters[counter].add(1, self._labels)
            if self._span is None:
                return
            if status is not None:
                self._span.set_attribute("http.response.status_code", status)
            self._span.set_attribute("nextmq.outcome", verdict.outcome)
            if isinstance(verdict, Failed):
                self._span.set_attribute("error.type", verdict.name)
                self._span.set_status(Status(StatusCode.ERROR, verdict.name))

    def end(self) -> None:
        """End the span, also if the delivery was aborted."""
        with harmless("ending a span"):
            if self._span is not None:
                self._span.end()


def _counter_of(verdict: Verdict, *, is_final: bool) -> str | None:
    match verdict:
        case Completed():
            return "completed"
        case Failed():
            return "failed" if is_final else "retried"
        case Delayed():
            return "delayed"
        case WaitingChildren():
            return "waiting_children"
        case _:  # the job has not moved: it was put back
            return None
