"""Flows that POST /v1/flows refuses."""

from __future__ import annotations

import typing as t

import httpx
import pytest
from hypothesis import given

from tests.support.api import any_json, one_service, problem_paths, refusal, send
from tests.support.api_cases import MIB, NO_JSON
from tests.support.flows import FLOWS, chain, job_count, node

if t.TYPE_CHECKING:
    from nextmq_server.service import Service

pytestmark = pytest.mark.anyio


@pytest.mark.parametrize(
    ("flow", "path"),
    [
        pytest.param(None, "flow", id="null"),
        pytest.param({"queueName": "emails"}, "flow.name", id="no name"),
        pytest.param({"name": "root"}, "flow.queueName", id="no queue"),
        pytest.param(node("root", queue="a:b"), "flow.queueName", id="no queue's name"),
        pytest.param({**node("root"), "children": None}, "flow.children", id="children that are null"),
        pytest.param({**node("root"), "children": {}}, "flow.children", id="children that are an object"),
        pytest.param({**node("root"), "prefix": "bull"}, "flow.prefix", id="a prefix"),
        pytest.param(node("root", node("", queue="b")), "flow.children.0.name", id="a child without a name"),
        pytest.param(node("root", node("a", attempts=0)), "flow.children.0.opts.attempts", id="a child's option"),
        pytest.param(
            {**node("root"), "children": [{**node("a"), "data": "x" * MIB}]},
            "flow.children.0.data",
            id="large data",
        ),
        pytest.param(
            node("root", node("a", parent={"id": "1", "queue": "emails"})),
            "flow.children.0.opts.parent",
            id="a child with another parent",
        ),
        pytest.param(
            node("root", node("a"), deduplication={"id": "d"}),
            "flow.opts.deduplication",
            id="a parent that may be deduplicated",
        ),
        pytest.param(
            node("root", node("a", deduplication={"id": "d"})),
            "flow.children.0.opts.deduplication",
            id="a child that may be deduplicated",
        ),
        pytest.param(
            node("root", node("a", jobId="root"), jobId="root"),
            "flow.children.0.opts.jobId",
            id="a job that is its own child",
        ),
        pytest.param(
            node("root", node("a", jobId="p"), parent={"id": "p", "queue": "emails"}),
            "flow.children.0.opts.jobId",
            id="a parent below its child",
        ),
        pytest.param(chain(21), "", id="21 levels"),
        pytest.param(node("root", *[node("child")] * 1000), "", id="1,001 jobs"),
        pytest.param({"children": [None] * 300_000}, "", id="300,000 jobs"),
    ],
)
async def test_a_wrong_flow_is_refused_and_the_member_named(
    api: httpx.AsyncClient, service: Service, flow: object, path: str
) -> None:
    assert problem_paths(await send(api, "POST", FLOWS, {"flow": flow})) == {path}
    assert await job_count(service) == 0


@pytest.mark.parametrize(
    "defaults", [{"jobId": "x"}, {"parent": {"id": "1", "queue": "emails"}}], ids=["an id", "a parent"]
)
async def test_what_belongs_to_one_job_is_no_default(api: httpx.AsyncClient, defaults: dict[str, t.Any]) -> None:
    body = {"flow": node("root"), "queuesOptions": {"emails": {"defaultJobOptions": defaults}}}
    path = "queuesOptions.emails.defaultJobOptions"
    assert problem_paths(await send(api, "POST", FLOWS, body)) == {path}


@pytest.mark.parametrize(
    "flows",
    [[], None, {}, [node("root", *[node("child")] * 499)] * 3],
    ids=["none", "null", "an object", "1,500 jobs in all"],
)
async def test_wrong_flows_are_refused(api: httpx.AsyncClient, flows: object) -> None:
    assert refusal(await send(api, "POST", f"{FLOWS}/bulk", {"flows": flows})) == (422, "invalid_request")


@pytest.mark.parametrize("content", NO_JSON.values(), ids=NO_JSON)
async def test_a_body_that_is_no_strict_json_is_refused(api: httpx.AsyncClient, content: bytes) -> None:
    answer = await api.post(FLOWS, content=content, headers={"content-type": "application/json"})
    assert refusal(answer) == (400, "invalid_json")


async def test_a_body_over_16_mib_is_refused(api: httpx.AsyncClient) -> None:
    content = b" " * (16 * MIB + 1)
    answer = await api.post(FLOWS, content=content, headers={"content-type": "application/json"})
    assert refusal(answer) == (413, "payload_too_large")


@one_service
@given(flow=any_json, opts=any_json, children=any_json)
async def test_whatever_the_flow_is_the_answer_is_no_5xx(
    api: httpx.AsyncClient, flow: object, opts: object, children: object
) -> None:
    bodies = [{"flow": flow}, {"flow": {**node("root"), "opts": opts, "children": children}}, {"flows": flow}]
    paths = [FLOWS, FLOWS, f"{FLOWS}/bulk"]
    answers = [await send(api, "POST", path, body) for path, body in zip(paths, bodies, strict=True)]
    assert max(answer.status_code for answer in answers) < 500
