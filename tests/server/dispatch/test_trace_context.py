"""The producer's trace: kept with the job as BullMQ's clients keep it, and sent with its deliveries."""

from __future__ import annotations

import json
import typing as t

import httpx
import pytest
from hypothesis import given
from hypothesis import strategies as st

from nextmq_handler.protocol.outcomes import Completed
from nextmq_handler.telemetry import MAX_TRACE_SIZE, delivery_headers
from nextmq_server.dispatch.egress.rules import EgressRules
from nextmq_server.dispatch.http.client import DeliveryClient
from nextmq_server.engine.worker.gate import Gate
from tests.support.dispatching import App, Rig, make_job

if t.TYPE_CHECKING:
    from ..conftest import Engine, Processor, Serve

pytestmark = pytest.mark.anyio

TRACEPARENT = "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01"
CARRIER = {"traceparent": TRACEPARENT, "tracestate": "shop=1", "baggage": "tenant=acme"}
METADATA = json.dumps(CARRIER)


@pytest.fixture
async def rig(serve: Serve, gate: Gate) -> t.AsyncIterator[Rig]:
    app, client = App(), DeliveryClient(EgressRules.for_development())
    yield Rig(app, await serve(app.handle) + "/queues/emails", client, gate)
    await client.close()


async def sent(rig: Rig, **opts: object) -> dict[str, str]:
    """Return the trace headers of the delivery of a job with these options in Redis."""
    assert await rig.deliver(opts=json.dumps(opts)) == Completed({"sent": True})
    headers, _ = rig.app.received[-1]
    names = ("traceparent", "tracestate", "baggage")
    return {name: value.decode() for name in names for value in headers.all(name.encode())}


async def test_a_delivery_carries_the_trace_that_the_job_was_added_in(rig: Rig) -> None:
    assert await sent(rig, tm=METADATA) == CARRIER


async def test_a_job_of_an_untraced_producer_is_delivered_without_a_trace(rig: Rig) -> None:
    assert await sent(rig, attempts=3) == {}


async def test_a_job_that_omits_the_context_is_delivered_without_a_trace(rig: Rig) -> None:
    assert await sent(rig, tm=METADATA, omc=True) == {}


async def test_other_members_of_the_carrier_are_not_sent(rig: Rig) -> None:
    metadata = json.dumps({**CARRIER, "x-nextmq-id": "dlv_2", "host": "other.example", "b3": "0"})
    assert await sent(rig, tm=metadata) == CARRIER
    headers, _ = rig.app.received[-1]
    assert (headers.all(b"x-nextmq-id"), headers.all(b"b3")) == ([rig.delivery_id.encode()], [])


MALFORMED: dict[str, object] = {
    "a number": 7,
    "an object": CARRIER,
    "no JSON": "traceparent",
    "empty": "",
    "a list": json.dumps([TRACEPARENT]),
    "a lone surrogate": '"\ud800"',
    "nested too deeply": "[" * 100_000,
    "members that are not texts": json.dumps({"traceparent": [TRACEPARENT], "baggage": 1}),
    "a line of its own": json.dumps({"baggage": "a=b\r\nx-nextmq-id: dlv_2"}),
    "far too much": json.dumps({"baggage": "x" * 1_000_000}),
}


@pytest.mark.parametrize("metadata", MALFORMED.values(), ids=MALFORMED)
async def test_a_malformed_carrier_is_left_out_and_the_job_delivered(rig: Rig, metadata: object) -> None:
    assert await sent(rig, tm=metadata) == {}


@given(data=st.data())
def test_whatever_the_metadata_is_its_headers_can_be_sent(
    json_values: st.SearchStrategy[t.Any], data: st.DataObject
) -> None:
    members = st.dictionaries(st.sampled_from([*CARRIER]), json_values | st.just(TRACEPARENT)).map(json.dumps)
    opts = {"tm": data.draw(json_values | members), "omc": data.draw(json_values)}
    headers = delivery_headers(make_job(opts=json.dumps(opts)).opts)
    assert sum(map(len, headers.values())) <= MAX_TRACE_SIZE
    assert all(value.isascii() and value.isprintable() for value in headers.values())


async def test_the_context_is_kept_under_bullmqs_short_names(engine: Engine) -> None:
    job_id = await engine.add(telemetry={"metadata": METADATA, "omitContext": True})
    stored = json.loads(await engine.field(job_id, "opts") or "")
    assert (stored["tm"], stored["omc"], "telemetry" in stored) == (METADATA, True, False)


async def test_the_api_shows_the_context_under_its_long_names(engine: Engine) -> None:
    telemetry = {"metadata": METADATA, "omitContext": True}
    job = await engine.job(await engine.add(telemetry=telemetry))
    assert job["opts"]["telemetry"] == telemetry


async def test_a_job_from_redis_brings_its_context_to_the_dispatcher(
    engine: Engine, processor: type[Processor]
) -> None:
    process = processor()
    await engine.run(process)
    await engine.until_state(await engine.add(telemetry={"metadata": METADATA}), "completed")
    assert delivery_headers(process.started[0].opts) == CARRIER


async def test_the_trace_of_a_request_goes_on_in_the_jobs_that_it_adds(api: httpx.AsyncClient) -> None:
    answer = await api.post("/v1/queues/emails/jobs", json={"name": "welcome"}, headers=CARRIER)
    assert json.loads(answer.json()["opts"]["telemetry"]["metadata"]) == CARRIER


async def test_the_trace_of_a_request_goes_on_in_every_job_of_its_flow(api: httpx.AsyncClient) -> None:
    flow = {"name": "a", "queueName": "emails", "children": [{"name": "b", "queueName": "emails"}]}
    tree = (await api.post("/v1/flows", json={"flow": flow}, headers=CARRIER)).json()["flow"]
    jobs = [tree["job"], tree["children"][0]["job"]]
    assert [json.loads(job["opts"]["telemetry"]["metadata"]) for job in jobs] == [CARRIER, CARRIER]


async def test_what_a_job_says_of_its_trace_holds(api: httpx.AsyncClient) -> None:
    body = {"name": "welcome", "opts": {"telemetry": {"omitContext": True}}}
    answer = await api.post("/v1/queues/emails/jobs", json=body, headers=CARRIER)
    assert answer.json()["opts"]["telemetry"] == {"omitContext": True}


async def test_a_malformed_trace_of_a_request_is_left_out(api: httpx.AsyncClient) -> None:
    answer = await api.post("/v1/queues/emails/jobs", json={"name": "a"}, headers={"traceparent": "00-nothing"})
    assert "telemetry" not in answer.json()["opts"]
