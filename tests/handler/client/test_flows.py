"""FlowProducer and AsyncFlowProducer: trees of jobs."""

from __future__ import annotations

import typing as t
from datetime import timedelta

import pytest
import respx

from nextmq_handler import ConfigurationError, FlowJob, NextMQHTTPError
from tests.support.client import Kind, body_of, both_kinds, flows_of, value_of
from tests.support.handler import JOB

pytestmark = pytest.mark.anyio

TREE = {
    "job": {**JOB, "queueName": "reports", "deduplicated": False},
    "children": [{"job": {**JOB, "id": "43", "queueName": "emails"}, "children": []}],
}


@both_kinds
async def test_a_flow_is_sent_with_its_children_and_the_options_of_its_queues(
    kind: Kind, server: respx.MockRouter
) -> None:
    route = server.post("/v1/flows").respond(201, json={"flow": TREE})
    child: FlowJob = {"name": "send", "queue_name": "emails", "data": 1, "opts": {"job_id": "a"}}
    flow: FlowJob = {"name": "report", "queue_name": "reports", "children": [child]}
    options = {"emails": {"default_job_options": {"backoff": timedelta(seconds=1)}}}
    await value_of(flows_of(kind).add(flow, options))
    assert body_of(route) == {
        "flow": {
            "name": "report",
            "queueName": "reports",
            "data": None,
            "opts": {},
            "children": [
                {"name": "send", "queueName": "emails", "data": 1, "opts": {"jobId": "a"}, "children": []}
            ],
        },
        "queuesOptions": {"emails": {"defaultJobOptions": {"backoff": 1000}}},
    }


@both_kinds
async def test_a_flow_comes_back_as_a_tree_of_jobs(kind: Kind, server: respx.MockRouter) -> None:
    server.post("/v1/flows").respond(201, json={"flow": TREE})
    node = await value_of(flows_of(kind).add({"name": "report", "queue_name": "reports"}))
    (child,) = node.children
    assert [(each.job.id, each.job.queue_name) for each in (node, child)] == [("42", "reports"), ("43", "emails")]


@both_kinds
async def test_several_flows_are_sent_at_once(kind: Kind, server: respx.MockRouter) -> None:
    route = server.post("/v1/flows/bulk").respond(201, json={"flows": [TREE, TREE]})
    nodes = await value_of(flows_of(kind).add_bulk([{"name": "a", "queue_name": "b"}] * 2))
    assert (len(nodes), [flow["name"] for flow in body_of(route)["flows"]]) == (2, ["a", "a"])


@both_kinds
async def test_no_flows_are_no_request(kind: Kind, server: respx.MockRouter) -> None:
    assert await value_of(flows_of(kind).add_bulk([])) == []


@both_kinds
async def test_a_flow_is_read_to_a_depth(kind: Kind, server: respx.MockRouter) -> None:
    route = server.get(url__startswith="https://queue.example/").respond(200, json=TREE)
    node = await value_of(flows_of(kind).get_flow(queue_name="reports", id="a/b", depth=2, max_children=3))
    path = route.calls.last.request.url.raw_path
    assert (node.job.id, path) == ("42", b"/v1/flows/reports/a%2Fb?depth=2&maxChildren=3")


@both_kinds
async def test_a_flow_that_is_not_there_is_none(kind: Kind, server: respx.MockRouter) -> None:
    server.get("/v1/flows/reports/1").respond(404, json={"error": "not_found"})
    assert await value_of(flows_of(kind).get_flow(queue_name="reports", id="1")) is None


def chain(depth: int) -> dict[str, t.Any]:
    flow: dict[str, t.Any] = {"name": "a", "queue_name": "b"}
    for _ in range(depth - 1):
        flow = {"name": "a", "queue_name": "b", "children": [flow]}
    return flow


def circle() -> dict[str, t.Any]:
    flow = chain(1)
    flow["children"] = [flow]
    return flow


UNFIT: dict[str, tuple[dict[str, t.Any], str]] = {
    "21 levels": (chain(21), "a flow has up to 20 levels of jobs"),
    "10000 levels": (chain(10_000), "a flow has up to 20 levels of jobs"),
    "a circle": (circle(), "a flow has up to 20 levels of jobs"),
    "1001 jobs": ({**chain(1), "children": [chain(1)] * 1000}, "a call takes up to 1000 jobs"),
    "an unknown member": ({**chain(1), "prefix": "x"}, "prefix: no such member of a flow's job"),
    "an unknown option": ({**chain(1), "opts": {"jobId": "x"}}, "jobId: no such job option"),
    "children that are no list": ({**chain(1), "children": "abc"}, "children takes a list of jobs, not str"),
    "a child that is not a job": ({**chain(1), "children": ["a"]}, "member of a flow's job takes a dict, not str"),
}


@both_kinds
@pytest.mark.parametrize(("flow", "message"), UNFIT.values(), ids=UNFIT)
async def test_a_flow_that_cannot_be_sent_is_refused(kind: Kind, flow: dict[str, t.Any], message: str) -> None:
    with pytest.raises(ConfigurationError, match=message):
        await value_of(flows_of(kind).add(flow))


@both_kinds
async def test_a_flow_of_20_levels_is_sent(kind: Kind, server: respx.MockRouter) -> None:
    server.post("/v1/flows").respond(201, json={"flow": TREE})
    assert await value_of(flows_of(kind).add(chain(20)))


@both_kinds
@pytest.mark.parametrize("tree", [None, [], {"job": {}}, {"job": JOB, "children": []}, {**TREE, "children": 5}])
async def test_a_tree_that_is_none_is_an_answer_of_something_else(
    kind: Kind, tree: t.Any, server: respx.MockRouter
) -> None:
    server.post("/v1/flows").respond(201, json={"flow": tree})
    with pytest.raises(NextMQHTTPError) as caught:
        await value_of(flows_of(kind).add(chain(1)))
    assert caught.value.code == "invalid_answer"


@both_kinds
async def test_the_repr_of_a_node_tells_its_job_and_how_many_children(
    kind: Kind, server: respx.MockRouter
) -> None:
    server.post("/v1/flows").respond(201, json={"flow": TREE})
    node = await value_of(flows_of(kind).add(chain(1)))
    assert repr(node) == f"<{type(node).__name__} {node.job!r} children=1>"
