"""A job continues the trace that adds it: the request has the trace headers, the body has nothing of it."""

from __future__ import annotations

import json

import pytest
import respx

from tests.support.client import Kind, both_kinds, flows_of, value_of
from tests.support.handler import ADDED, JOB, JOBS, Call, both_queues

pytestmark = pytest.mark.anyio

TRACEPARENT = "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01"


@pytest.fixture
def trace(monkeypatch: pytest.MonkeyPatch) -> None:
    """Put the app into a trace."""
    for module in ("_sync.resource", "_async.resource"):
        monkeypatch.setattr(f"nextmq_handler.client.{module}.inject", lambda: {"traceparent": TRACEPARENT})


@both_queues
@pytest.mark.usefixtures("trace")
async def test_a_job_is_added_with_the_headers_of_the_trace(call: Call, server: respx.MockRouter) -> None:
    route = server.post(JOBS).respond(201, json=JOB)
    await call("add", "welcome")
    assert route.calls.last.request.headers["traceparent"] == TRACEPARENT


@both_queues
@pytest.mark.usefixtures("trace")
async def test_the_trace_is_not_in_the_body_that_an_idempotency_key_stands_for(
    call: Call, server: respx.MockRouter
) -> None:
    route = server.post(JOBS).respond(201, json=JOB)
    await call("add", "welcome")
    assert json.loads(route.calls.last.request.content) == {"name": "welcome", "data": None, "opts": {}}


@both_queues
@pytest.mark.usefixtures("trace")
async def test_a_bulk_is_added_with_the_headers_of_the_trace(call: Call, server: respx.MockRouter) -> None:
    route = server.post(JOBS + "/bulk").respond(201, json={"jobs": [ADDED]})
    await call("add_bulk", [{"name": "a"}])
    assert route.calls.last.request.headers["traceparent"] == TRACEPARENT


@both_kinds
@pytest.mark.usefixtures("trace")
async def test_a_flow_is_added_with_the_headers_of_the_trace(kind: Kind, server: respx.MockRouter) -> None:
    route = server.post("/v1/flows").respond(
        201, json={"flow": {"job": {**JOB, "queueName": "b"}, "children": []}}
    )
    await value_of(flows_of(kind).add({"name": "a", "queue_name": "b"}))
    assert route.calls.last.request.headers["traceparent"] == TRACEPARENT
