"""Set OpenTelemetry up for a server command, as the OTEL_* variables say."""

from __future__ import annotations

import asyncio
import contextlib
import logging
import os
import typing as t

if t.TYPE_CHECKING:
    from ..dispatch.tracing import Tracing

logger = logging.getLogger("nextmq_server")

_ENDPOINTS = (
    "OTEL_EXPORTER_OTLP_ENDPOINT",
    "OTEL_EXPORTER_OTLP_TRACES_ENDPOINT",
    "OTEL_EXPORTER_OTLP_METRICS_ENDPOINT",
)


@contextlib.asynccontextmanager
async def telemetry() -> t.AsyncGenerator[Tracing | None]:
    """Export traces and metrics by OTLP over HTTP if an endpoint is set; what is left is sent at the end.

    The SDK reads the OTEL_* variables itself: service name, resource, sampler, headers, intervals.
    """
    if not any(os.environ.get(name) for name in _ENDPOINTS) or os.environ.get("OTEL_SDK_DISABLED") == "true":
        yield None
        return
    try:
        from opentelemetry import propagate
        from opentelemetry.exporter.otlp.proto.http.metric_exporter import OTLPMetricExporter
        from opentelemetry.exporter.otlp.proto.http.trace_exporter import OTLPSpanExporter
        from opentelemetry.sdk.metrics import MeterProvider
        from opentelemetry.sdk.metrics.export import MetricReader, PeriodicExportingMetricReader
        from opentelemetry.sdk.resources import SERVICE_NAME, Resource
        from opentelemetry.sdk.trace import TracerProvider
        from opentelemetry.sdk.trace.export import BatchSpanProcessor
    except ImportError as exc:
        logger.warning(
            "an OTEL_EXPORTER_OTLP_…ENDPOINT is set, and OpenTelemetry is not installed (%s): "
            'pip install "nextmq-handler[server,otel]"',
            exc.name,
        )
        yield None
        return
    from ..dispatch.tracing import Tracing

    _ = propagate.get_global_textmap()  # reads OTEL_PROPAGATORS now: a wrong one ends the start
    own = {} if os.environ.get("OTEL_SERVICE_NAME") else {SERVICE_NAME: "nextmq-server"}
    resource = Resource.create(own)
    tracers = TracerProvider(resource=resource, shutdown_on_exit=False)
    if os.environ.get("OTEL_TRACES_EXPORTER", "otlp") != "none":
        tracers.add_span_processor(BatchSpanProcessor(OTLPSpanExporter()))
    readers: list[MetricReader] = []
    if os.environ.get("OTEL_METRICS_EXPORTER", "otlp") != "none":
        readers.append(PeriodicExportingMetricReader(OTLPMetricExporter()))
    meters = MeterProvider(readers, resource, shutdown_on_exit=False)
    try:
        yield Tracing(tracers, meters)
    finally:
        await asyncio.gather(asyncio.to_thread(tracers.shutdown), asyncio.to_thread(meters.shutdown))
