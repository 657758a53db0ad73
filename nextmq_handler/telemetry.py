"""OpenTelemetry: the trace that adds a job goes on in its processor, if the app has loaded OpenTelemetry."""

from __future__ import annotations

import contextlib
import json
import re
import sys
import typing as t

from ._package import __version__
from .protocol import strict_json
from .protocol.outcomes import Failed
from .protocol.user_code import is_interrupt, kind_of

if t.TYPE_CHECKING:
    from contextvars import Token

    from opentelemetry.context import Context
    from opentelemetry.trace import Link, Span, SpanKind

    from .protocol.messages import Headers
    from .protocol.outcomes import Outcome
    from .protocol.wire import Delivery, JobRecord

MAX_TRACE_SIZE = 8192
"""The most bytes that the values of a delivery's three trace headers have together."""

_IDS = "(?!0{32})[0-9a-f]{32}-(?!0{16})[0-9a-f]{16}-[0-9a-f]{2}"
_TRACEPARENT = re.compile(f"00-{_IDS}|(?!00|ff)[0-9a-f]{{2}}-{_IDS}(-.*)?")  # later versions may append members
_NAMES = ("traceparent", "tracestate", "baggage")


def inject() -> dict[str, str]:
    """Return the current context as trace headers. Empty if the app does not use OpenTelemetry. Never raises."""
    carrier: dict[str, str] = {}
    if _is_used():
        with harmless("reading the context"):
            from opentelemetry import propagate

            propagate.inject(carrier)
    return trace_headers(carrier)


@contextlib.contextmanager
def producer_span(queue: str, name: str) -> t.Generator[t.Callable[[object], None]]:
    """Wrap the adding of a job called `name` in a PRODUCER span `add {queue}`, if the app uses OpenTelemetry.

    `inject`, called inside, carries it to the processor. An exception is recorded and propagates. Yields what
    takes note of the job that was added, or of the list of them.
    """
    if not _is_used():
        yield _note_nothing
        return
    span = _CurrentSpan()
    with harmless("starting a span"):
        from opentelemetry.trace import SpanKind

        span.start(f"add {queue}", SpanKind.PRODUCER, attributes_of("send", "add", queue, name))
    try:
        yield span.note_added
    except Exception as exc:
        span.record(exc)
        span.set_error(type(exc).__name__)
        raise
    finally:
        span.end()


def trace_headers(carrier: t.Mapping[str, object]) -> dict[str, str]:
    """Return the trace headers that a carrier has (section 2), without malformed ones and those too large."""
    headers: dict[str, str] = {}
    left = MAX_TRACE_SIZE
    for name in _NAMES:
        value = carrier.get(name)
        if not isinstance(value, str) or not value or not value.isascii() or not value.isprintable():
            continue
        if name == "traceparent" and not _TRACEPARENT.fullmatch(value):
            continue
        if name == "tracestate" and "traceparent" not in headers:
            continue
        if len(value) <= left:
            headers[name] = value
            left -= len(value)
    return headers


def trace_options(headers: t.Mapping[str, object]) -> dict[str, t.Any]:
    """Return the job options that carry a request's trace to the processor, as bullmq-otel writes them."""
    found = trace_headers(headers)
    return {"telemetry": {"metadata": json.dumps(found)}} if "traceparent" in found else {}


def delivery_headers(opts: t.Mapping[str, t.Any]) -> dict[str, str]:
    """Return the headers of a delivery that continue the trace in the job options `opts` (section 2)."""
    telemetry = opts.get("telemetry")
    if not isinstance(telemetry, dict):
        return {}
    members = t.cast("dict[str, t.Any]", telemetry)
    metadata = members.get("metadata")
    if members.get("omitContext") or not isinstance(metadata, str):
        return {}
    try:
        carrier = strict_json.loads(metadata.encode())
    except ValueError:
        return {}
    return trace_headers(t.cast("dict[str, object]", carrier)) if isinstance(carrier, dict) else {}


class Trace:
    """The span of one run of a processor, in the trace that the delivery's headers name.

    Enter and leave it in one thread or task, around everything that the processor runs in. Whatever OpenTelemetry
    raises, the outcome stays the same.
    """

    def __init__(self, delivery: Delivery, headers: Headers) -> None:
        self._delivery = delivery
        self._headers = headers
        self._span = _CurrentSpan()

    def __enter__(self) -> None:
        with harmless("starting a span"):
            from opentelemetry.trace import SpanKind

            queue, job = self._delivery.queue, self._delivery.job
            attributes: dict[str, str | int] = {
                **attributes_of("process", "process", queue, job.name, job.id),
                "nextmq.delivery_id": self._delivery.id,
                "nextmq.attempt": job.attempts_made + 1,
            }
            if job.attempts_started == 1:  # BullMQ keeps no time at which a retried job was due
                attributes["nextmq.wait_ms"] = _wait_of(job)
            context, links = _parent(self._headers)
            self._span.start(f"process {queue}", SpanKind.CONSUMER, attributes, context, links)

    def __exit__(self, *exc_info: object) -> None:
        self._span.end()

    def failed(self, exc: BaseException) -> None:
        """Record an exception of the processor."""
        self._span.record(exc)

    def ended(self, outcome: Outcome) -> None:
        """Mark the span as an error if the outcome is a failure: a job that is put back has not failed."""
        if isinstance(outcome, Failed):
            self._span.set_error(outcome.name)


class _CurrentSpan:
    """A span that is the current one from `start` to `end`. Only `start` raises."""

    def __init__(self) -> None:
        self._span: Span | None = None
        self._token: Token[Context] | None = None

    def start(
        self,
        name: str,
        kind: SpanKind,
        attributes: t.Mapping[str, str | int],
        parent: Context | None = None,
        links: t.Sequence[Link] = (),
    ) -> None:
        from opentelemetry import context, trace

        tracer = trace.get_tracer("nextmq_handler", __version__)
        self._span = tracer.start_span(name, context=parent, kind=kind, attributes=attributes, links=links)
        current = trace.set_span_in_context(self._span, parent)
        # Without an SDK, an older opentelemetry-api gives no span that continues the parent's trace.
        if parent is not None and not self._span.get_span_context().is_valid:
            current = parent
        self._token = context.attach(current)

    def record(self, exc: BaseException) -> None:
        with harmless("recording an exception"):
            # An abandoned processor may raise after its span has ended.
            if self._span is not None and self._span.is_recording():
                self._span.record_exception(exc)

    def note_added(self, added: object) -> None:
        """Take note of the job that was added, or of the list of them."""
        with harmless("describing a span"):
            id: object = getattr(added, "id", None)
            if self._span is not None and isinstance(id, str):
                self._span.set_attribute("messaging.message.id", _plain(id))
            elif self._span is not None and isinstance(added, list):
                self._span.set_attribute("messaging.batch.message_count", len(t.cast("list[object]", added)))

    def set_error(self, name: str) -> None:
        with harmless("marking a span"):
            if self._span is not None:
                from opentelemetry.trace import Status, StatusCode

                self._span.set_attribute("error.type", name)
                self._span.set_status(Status(StatusCode.ERROR, name))

    def end(self) -> None:
        with harmless("leaving a span"):
            if self._token is not None:
                from opentelemetry import context

                context.detach(self._token)
        with harmless("ending a span"):
            if self._span is not None:
                self._span.end()


def _parent(headers: Headers) -> tuple[Context, list[Link]]:
    """Return the context that a delivery's processor runs in, and the links of its span."""
    from opentelemetry import context, propagate, trace

    # Joined by a comma, a repeated traceparent is malformed.
    values = {name: b",".join(headers.all(name.encode())).decode("latin-1") for name in _NAMES}
    sent = propagate.extract(trace_headers(values), context=context.get_current())
    current = trace.get_current_span()
    here, there = current.get_span_context(), trace.get_current_span(sent).get_span_context()
    if not here.is_valid or here == there:
        return sent, []
    if here.trace_id == there.trace_id:  # the app's own HTTP span, which continues these headers too
        return trace.set_span_in_context(current, sent), []
    return sent, [trace.Link(here)]


def attributes_of(
    kind: str, operation: str, queue: str, name: str | None = None, id: str | None = None
) -> dict[str, str]:
    """Return OpenTelemetry's messaging attributes, and BullMQ's for the job's name. Never the job's data."""
    attributes = {
        "messaging.system": "bullmq",
        "messaging.destination.name": queue,
        "messaging.operation.type": kind,
        "messaging.operation.name": operation,
    }
    if name is not None:
        attributes["bullmq.job.name"] = _plain(name)
    if id is not None:
        attributes["messaging.message.id"] = _plain(id)
    return attributes


def _wait_of(job: JobRecord) -> int:
    """Return how long, in ms, the job waited after it was due."""
    delay = job.opts.get("delay", 0)
    return max(0, job.processed_on - job.timestamp - (int(delay) if isinstance(delay, int | float) else 0))


def _plain(text: str) -> str:
    """Replace lone surrogates: an exporter would drop a whole batch of spans because of one."""
    return text.encode("utf-8", "replace").decode()


def _note_nothing(_added: object) -> None:
    """Stand in for a span's `note_added`."""


def _is_used() -> bool:
    # Every part of OpenTelemetry loads this module. If it is not loaded there is nothing to propagate, and a cold
    # start does not pay for an extra that happens to be installed.
    return "opentelemetry.context" in sys.modules


@contextlib.contextmanager
def harmless(what: str) -> t.Generator[None]:
    """Log what the app's propagators, samplers and span processors raise. The job goes on without a trace."""
    try:
        yield
    except BaseException as exc:
        if is_interrupt(exc):
            raise
        import logging

        # Not its text, which may quote what is in a span.
        logging.getLogger("nextmq_handler").warning("tracing: %s failed with %s", what, kind_of(exc))
