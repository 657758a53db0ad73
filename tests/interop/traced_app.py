"""Our app of test_trace.py: it exports its spans, and its processor adds a second job."""

from __future__ import annotations

from opentelemetry import trace
from opentelemetry.exporter.otlp.proto.http.trace_exporter import OTLPSpanExporter
from opentelemetry.sdk.trace import TracerProvider
from opentelemetry.sdk.trace.export import SimpleSpanProcessor

from nextmq_handler import AsyncJob, AsyncQueue, Job, Worker, create_nextmq_handler

provider = TracerProvider()
provider.add_span_processor(SimpleSpanProcessor(OTLPSpanExporter()))
trace.set_tracer_provider(provider)


async def order(job: AsyncJob) -> None:
    await AsyncQueue("receipts").add("receipt", {"order": job.id}, job_id="receipt-1")


def receipt(job: Job) -> None:
    raise ValueError("no printer")


app = create_nextmq_handler([Worker("orders", order), Worker("receipts", receipt)])
