"""Traces: the spans of producers and processors, by the real SDK, and what is passed on between them."""

import asyncio
import logging
import subprocess
import sys
import typing as t
from collections.abc import Callable, Iterator

import pytest
from hypothesis import given
from hypothesis import strategies as st
from opentelemetry import baggage, context, propagate, trace
from opentelemetry.propagators.composite import CompositePropagator
from opentelemetry.sdk.trace import ReadableSpan, SpanProcessor, TracerProvider
from opentelemetry.sdk.trace.export import SimpleSpanProcessor
from opentelemetry.sdk.trace.export.in_memory_span_exporter import InMemorySpanExporter
from opentelemetry.trace import SpanKind, StatusCode

from nextmq_handler import Job, RateLimitError, Worker
from nextmq_handler.telemetry import MAX_TRACE_SIZE, inject, producer_span, trace_headers
from tests.support.handler import (
    Body,
    HeaderList,
    Style,
    delivery,
    encode,
    make_handler,
    send,
    signed,
    sync_and_async,
)

pytestmark = pytest.mark.anyio

TRACE = "0af7651916cd43dd8448eb211c80319c"
SPAN = "b7ad6b7169203331"
TRACEPARENT = f"00-{TRACE}-{SPAN}-01"
PARENT: HeaderList = [(b"traceparent", TRACEPARENT.encode())]

_exporter = InMemorySpanExporter()
_provider = TracerProvider()
_provider.add_span_processor(SimpleSpanProcessor(_exporter))


@pytest.fixture(scope="module", autouse=True)
def _tracing() -> None:
    trace.set_tracer_provider(_provider)  # once in a process, as in an app


@pytest.fixture
def spans() -> Callable[[], list[ReadableSpan]]:
    """Return the spans that have ended in this test, in that order."""
    _exporter.clear()
    return lambda: list(_exporter.get_finished_spans())


Spans = Callable[[], list[ReadableSpan]]


async def run(
    processor: Callable[..., t.Any], headers: HeaderList = PARENT, *, timeout: int = 30_000, **job: t.Any
) -> t.Any:
    """Return the outcome of a delivery with these headers."""
    body = encode(delivery(timeout=timeout, job=job))
    answer = await send(make_handler(Worker("emails", processor)), body, headers=[*signed(body), *headers])
    return answer.json


def raising(exc: BaseException) -> Body:
    def body(job: object) -> t.NoReturn:
        raise exc

    return body


def id_of(span: ReadableSpan) -> tuple[str, str]:
    assert span.context is not None
    return trace.format_trace_id(span.context.trace_id), trace.format_span_id(span.context.span_id)


def parent_of(span: ReadableSpan) -> tuple[str, str] | None:
    parent = span.parent
    return parent and (trace.format_trace_id(parent.trace_id), trace.format_span_id(parent.span_id))


def events_of(span: ReadableSpan) -> list[t.Any]:
    """Type and text of the exceptions that a span recorded."""
    return [
        (event.attributes["exception.type"], event.attributes["exception.message"])
        for event in span.events
        if event.attributes is not None
    ]


@sync_and_async
async def test_the_span_of_a_processor_says_which_delivery_of_which_job_it_is(style: Style, spans: Spans) -> None:
    await run(style(lambda job: None))
    [span] = spans()
    assert (span.name, span.kind, span.status.status_code) == (
        "process emails",
        SpanKind.CONSUMER,
        StatusCode.UNSET,
    )
    assert dict(span.attributes or {}) == {
        "messaging.system": "bullmq",
        "messaging.destination.name": "emails",
        "messaging.operation.type": "process",
        "messaging.operation.name": "process",
        "messaging.message.id": "42",
        "bullmq.job.name": "welcome",
        "nextmq.delivery_id": "dlv_1",
        "nextmq.attempt": 1,
        "nextmq.wait_ms": 1_000_000,
    }


@sync_and_async
async def test_the_producer_is_the_parent_of_the_processor(style: Style, spans: Spans) -> None:
    await run(style(lambda job: None))
    assert [parent_of(span) for span in spans()] == [(TRACE, SPAN)]


@sync_and_async
async def test_spans_of_a_processor_are_below_its_own(style: Style, spans: Spans) -> None:
    def body(job: object) -> None:
        with trace.get_tracer("app").start_as_current_span("query"):
            pass

    await run(style(body))
    inner, outer = spans()
    assert (inner.name, parent_of(inner)) == ("query", id_of(outer))


@sync_and_async
async def test_what_a_processor_raises_is_recorded_and_its_span_an_error(style: Style, spans: Spans) -> None:
    await run(style(raising(KeyError("no such address"))))
    [span] = spans()
    assert events_of(span) == [("KeyError", "'no such address'")]
    assert (span.status.status_code, span.status.description) == (StatusCode.ERROR, "KeyError")
    assert (span.attributes or {})["error.type"] == "KeyError"


LATER: dict[str, Body] = {
    "rate limited": raising(RateLimitError(1000)),
    "delayed": lambda job: job.move_to_delayed(1_790_000_060_000),
    "waiting for children": lambda job: job.move_to_waiting_children(),
}


@sync_and_async
@pytest.mark.parametrize("body", LATER.values(), ids=LATER)
async def test_a_job_that_runs_again_later_is_not_an_error(style: Style, body: Body, spans: Spans) -> None:
    await run(style(body))
    [span] = spans()
    assert (span.status.status_code, list(span.events)) == (StatusCode.UNSET, [])


async def test_the_span_of_a_processor_that_overruns_its_deadline_ends_there_as_an_error(spans: Spans) -> None:
    async def forever(job: object) -> None:
        await asyncio.Event().wait()

    await run(forever, timeout=200)
    assert [span.status.description for span in spans()] == ["DeadlineExceeded"]


async def test_data_that_does_not_fit_makes_the_span_an_error(spans: Spans) -> None:
    def process(job: Job[int]) -> None: ...

    await run(process)
    assert [(span.status.description, list(span.events)) for span in spans()] == [("DataValidationError", [])]


@sync_and_async
async def test_an_exception_that_cannot_be_shown_is_an_outcome_all_the_same(style: Style, spans: Spans) -> None:
    class Silent(Exception):
        def __str__(self) -> str:
            raise RuntimeError("this one cannot be shown")

    outcome = await run(style(raising(Silent())))
    assert (outcome["error"]["name"], [span.status.description for span in spans()]) == ("Silent", ["Silent"])


async def test_a_delivery_without_a_trace_starts_one(spans: Spans) -> None:
    await run(lambda job: None, [])
    assert [parent_of(span) for span in spans()] == [None]


async def test_a_repeated_traceparent_is_ignored(spans: Spans) -> None:
    await run(lambda job: None, PARENT * 2)
    assert [parent_of(span) for span in spans()] == [None]


async def test_the_http_span_of_the_same_trace_is_the_parent(spans: Spans) -> None:
    sent = propagate.extract({"traceparent": TRACEPARENT})
    with trace.get_tracer("http").start_as_current_span("POST", context=sent):
        await run(lambda job: None)
    process, http = spans()
    assert (parent_of(process), parent_of(http)) == (id_of(http), (TRACE, SPAN))


async def test_an_http_span_of_another_trace_is_linked(spans: Spans) -> None:
    with trace.get_tracer("http").start_as_current_span("POST"):
        await run(lambda job: None)
    process, http = spans()
    [link] = process.links
    assert (parent_of(process), link.context) == ((TRACE, SPAN), http.context)


@sync_and_async
async def test_baggage_reaches_the_processor(style: Style) -> None:
    process = style(lambda job: dict(baggage.get_all()))
    headers = [*PARENT, (b"baggage", b"tenant=acme"), (b"baggage", b"plan=pro")]
    assert (await run(process, headers))["returnValue"] == {"tenant": "acme", "plan": "pro"}


async def test_after_a_delivery_the_context_is_as_before() -> None:
    before = context.get_current()
    await run(lambda job: None)
    assert context.get_current() is before


async def test_a_job_id_with_a_lone_surrogate_does_not_spoil_the_export(spans: Spans) -> None:
    await run(lambda job: None, id="\ud800", name="\udfff")
    [span] = spans()
    attributes = span.attributes or {}
    assert (attributes["messaging.message.id"], attributes["bullmq.job.name"]) == ("?", "?")


header_values = (
    st.sampled_from([TRACEPARENT.encode(), b"00-" + b"0" * 32 + b"-" + b"0" * 16 + b"-00", b"shop=1", b"a=b;c,d"])
    | st.binary(max_size=40)
    | st.binary(max_size=3).map(lambda part: part * 5000)
)
header_names = st.sampled_from([b"traceparent", b"tracestate", b"baggage"])


@given(headers=st.lists(st.tuples(header_names, header_values), max_size=6))
async def test_whatever_the_trace_headers_hold_the_job_is_run(headers: HeaderList) -> None:
    assert await run(lambda job: job.id, headers) == {"outcome": "completed", "returnValue": "42"}


class _Broken(SpanProcessor):
    """Fails where it is called; `when` says at the start or the end of a span."""

    def __init__(self) -> None:
        self.when = ""

    def on_start(self, span: object, parent_context: object = None) -> None:
        if self.when == "start":
            raise RuntimeError("what is in the span")

    def on_end(self, span: object) -> None:
        if self.when == "end":
            raise RuntimeError("what is in the span")


_broken = _Broken()
_provider.add_span_processor(_broken)


@sync_and_async
@pytest.mark.parametrize("when", ["start", "end"])
async def test_a_broken_span_processor_fails_no_job(
    style: Style, when: str, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setattr(_broken, "when", when)
    before = context.get_current()
    assert (await run(style(lambda job: "done")))["returnValue"] == "done"
    told = [record for record in caplog.records if record.getMessage().startswith("tracing: ")]
    assert [(record.levelno, record.getMessage()) for record in told] == [
        (logging.WARNING, f"tracing: {when}ing a span failed with RuntimeError")
    ]
    assert context.get_current() is before


class _BrokenPropagator(CompositePropagator):
    def inject(self, *args: object, **kwargs: object) -> None:
        raise RuntimeError("what is in the context")

    def extract(self, *args: object, **kwargs: object) -> t.NoReturn:
        raise RuntimeError("what is in the context")


@pytest.fixture
def _broken_propagator() -> Iterator[None]:
    working = propagate.get_global_textmap()
    propagate.set_global_textmap(_BrokenPropagator([]))
    yield
    propagate.set_global_textmap(working)


@pytest.mark.usefixtures("_broken_propagator")
async def test_a_broken_propagator_fails_no_job() -> None:
    assert (await run(lambda job: "done"))["returnValue"] == "done"


@pytest.mark.usefixtures("_broken_propagator")
def test_with_a_broken_propagator_nothing_is_injected() -> None:
    with trace.get_tracer("app").start_as_current_span("request"):
        assert inject() == {}


def test_what_is_injected_are_the_headers_of_the_trace() -> None:
    with trace.get_tracer("app").start_as_current_span("request") as span:
        token = context.attach(baggage.set_baggage("tenant", "ä"))
        headers = inject()
        context.detach(token)
    ids = span.get_span_context()
    assert headers == {
        "traceparent": f"00-{ids.trace_id:032x}-{ids.span_id:016x}-{ids.trace_flags:02x}",
        "baggage": "tenant=%C3%A4",
    }


def test_without_a_trace_nothing_is_injected() -> None:
    assert inject() == {}


def test_a_job_is_added_in_a_producer_span_that_is_injected(spans: Spans) -> None:
    with trace.get_tracer("app").start_as_current_span("request") as request, producer_span("emails", "welcome"):
        headers = inject()
    span, _ = spans()
    assert (span.name, span.kind, span.parent) == ("add emails", SpanKind.PRODUCER, request.get_span_context())
    assert dict(span.attributes or {}) == {
        "messaging.system": "bullmq",
        "messaging.destination.name": "emails",
        "messaging.operation.type": "send",
        "messaging.operation.name": "add",
        "bullmq.job.name": "welcome",
    }
    assert headers["traceparent"].split("-")[1:3] == [*id_of(span)]


def test_a_failure_to_add_is_recorded_and_raised(spans: Spans) -> None:
    with pytest.raises(ConnectionError, match="away"), producer_span("emails", "welcome"):
        raise ConnectionError("away")
    [span] = spans()
    assert (events_of(span), span.status.description) == ([("ConnectionError", "away")], "ConnectionError")


def test_what_one_processor_adds_is_in_the_trace_of_the_first(spans: Spans) -> None:
    headers = asyncio.run(run(lambda job: inject()))["returnValue"]
    [span] = spans()
    assert headers["traceparent"].split("-")[1:3] == [*id_of(span)]


def test_nothing_loads_opentelemetry_where_the_app_has_not() -> None:
    code = (
        "from nextmq_handler.telemetry import inject, producer_span\n"
        "with producer_span('emails', 'welcome'): assert inject() == {}\n"
        "import sys; assert 'opentelemetry' not in sys.modules\n"
    )
    process = subprocess.run([sys.executable, "-I", "-c", code], capture_output=True, text=True, check=False)
    assert process.returncode == 0, process.stderr


GOOD_PARENTS = [TRACEPARENT, f"00-{TRACE}-{SPAN}-00", f"00-{TRACE}-{SPAN}-ff", f"cc-{TRACE}-{SPAN}-01-what-is new"]
BAD_PARENTS: dict[str, object] = {
    "empty": "",
    "no text": 7,
    "version ff": f"ff-{TRACE}-{SPAN}-01",
    "more than version 00 has": f"{TRACEPARENT}-more",
    "capitals": TRACEPARENT.upper(),
    "trace of zeros": f"00-{'0' * 32}-{SPAN}-01",
    "span of zeros": f"00-{TRACE}-{'0' * 16}-01",
    "short trace": f"00-{TRACE[1:]}-{SPAN}-01",
    "newline": f"{TRACEPARENT}\n",
    "digits of another script": f"00-{'٣' * 32}-{SPAN}-01",
    "a second header": f"cc-{TRACE}-{SPAN}-01-\r\nx-nextmq-id: 1",
}


@pytest.mark.parametrize("value", GOOD_PARENTS)
def test_a_well_formed_traceparent_is_passed_on(value: str) -> None:
    assert trace_headers({"traceparent": value}) == {"traceparent": value}


@pytest.mark.parametrize("value", BAD_PARENTS.values(), ids=BAD_PARENTS)
def test_without_a_well_formed_traceparent_the_state_is_left_out(value: object) -> None:
    assert trace_headers({"traceparent": value, "tracestate": "shop=1", "baggage": "a=b"}) == {"baggage": "a=b"}


def test_baggage_that_is_too_much_is_left_out() -> None:
    room = MAX_TRACE_SIZE - len(TRACEPARENT)
    carrier = {"traceparent": TRACEPARENT, "baggage": "x" * (room + 1)}
    assert trace_headers(carrier) == {"traceparent": TRACEPARENT}


@given(
    st.dictionaries(
        st.sampled_from(["traceparent", "tracestate", "baggage", "x-nextmq-id"]),
        st.text(max_size=80)
        | st.sampled_from([TRACEPARENT, "shop=1", None, 1, ["a"]])
        | st.characters().map(lambda character: character * 4100),
    )
)
def test_trace_headers_can_be_sent_and_are_within_bounds(carrier: dict[str, object]) -> None:
    headers = trace_headers(carrier)
    assert headers.keys() <= {"traceparent", "tracestate", "baggage"}
    assert sum(map(len, headers.values())) <= MAX_TRACE_SIZE
    assert all(0x20 <= byte <= 0x7E for value in headers.values() for byte in value.encode())
