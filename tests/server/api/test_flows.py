"""POST and GET /v1/flows: trees of jobs that are added in one step, and looked at."""

from __future__ import annotations

import json
import typing as t

import httpx
import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.support.api import COUNTS, JOBS, one_service, problem_paths, refusal, send
from tests.support.flows import FLOWS, chain, job_count, node

if t.TYPE_CHECKING:
    from nextmq_server.projects.projects import Project
    from nextmq_server.service import Service

pytestmark = pytest.mark.anyio

KEY = {"idempotency-key": "order-42"}


def names(tree: dict[str, t.Any]) -> t.Any:
    """Return the names of a tree's jobs, with the children in a dict."""
    return {tree["job"]["name"]: [names(child) for child in tree["children"]]}


def ordered(tree: dict[str, t.Any]) -> t.Any:
    """Sort the children of the tree: the API does not know in which order they were added."""
    return json.dumps(tree["job"], sort_keys=True), sorted(map(ordered, tree["children"]))


async def add(api: httpx.AsyncClient, flow: object, **members: object) -> dict[str, t.Any]:
    """Return the tree of the answer."""
    answer = await send(api, "POST", FLOWS, {"flow": flow, **members})
    return t.cast("dict[str, t.Any]", answer.raise_for_status().json()["flow"])


async def get(api: httpx.AsyncClient, job_id: str, *, queue: str = "emails", **params: int) -> dict[str, t.Any]:
    answer = await api.get(f"{FLOWS}/{queue}/{job_id}", params=params)
    return t.cast("dict[str, t.Any]", answer.raise_for_status().json())


async def test_an_added_flow_is_answered_as_a_tree(api: httpx.AsyncClient) -> None:
    tree = await add(api, node("root", node("left", node("leaf")), node("right", queue="reports")))
    assert names(tree) == {"root": [{"left": [{"leaf": []}]}, {"right": []}]}


async def test_adding_a_flow_answers_201(api: httpx.AsyncClient) -> None:
    assert (await send(api, "POST", FLOWS, {"flow": node("root")})).status_code == 201


async def test_get_answers_what_adding_did(api: httpx.AsyncClient) -> None:
    tree = await add(api, node("root", node("child", node("leaf", queue="parts"), queue="reports", attempts=3)))
    assert await get(api, tree["job"]["id"]) == tree


async def test_a_job_of_a_flow_names_its_queue(api: httpx.AsyncClient) -> None:
    tree = await add(api, node("root", node("child", queue="reports")))
    assert tree["children"][0]["job"]["queueName"] == "reports"


async def test_a_child_names_its_parent(api: httpx.AsyncClient) -> None:
    tree = await add(api, node("root", node("child", queue="reports")))
    assert tree["children"][0]["job"]["parent"] == {"id": tree["job"]["id"], "queue": "emails"}


async def test_a_job_finds_the_root_of_its_flow(api: httpx.AsyncClient) -> None:
    tree = await add(api, chain(5))
    ids = [tree["job"]["id"]]
    while tree["children"]:
        [tree] = tree["children"]
        ids.append(tree["job"]["id"])
    seen = [(await api.get(f"{JOBS}/{id}/root")).json() for id in ids]
    assert seen == [{"root": {"id": ids[0], "queue": "emails"}, "levels": level} for level in range(5)]


async def test_the_root_of_a_flow_is_the_highest_job_that_exists(api: httpx.AsyncClient, service: Service) -> None:
    tree = await add(api, chain(3))
    [middle] = tree["children"]
    [lowest] = middle["children"]
    scripts = service.jobs.scripts("emails")
    await scripts.connection.execute("DEL", scripts.key(tree["job"]["id"]))
    found = (await api.get(f"{JOBS}/{lowest['job']['id']}/root")).json()
    assert found == {"root": {"id": middle["job"]["id"], "queue": "emails"}, "levels": 1}


async def test_jobs_that_are_parents_of_each_other_have_a_root(api: httpx.AsyncClient, service: Service) -> None:
    job_id = (await add(api, node("job")))["job"]["id"]
    scripts = service.jobs.scripts("emails")
    parent = json.dumps({"id": job_id, "queueKey": f"{scripts.prefix}:emails"})
    await scripts.connection.execute("HSET", scripts.key(job_id), "parent", parent)
    assert (await api.get(f"{JOBS}/{job_id}/root")).json()["levels"] == 64


async def test_a_job_that_is_not_there_has_no_root(api: httpx.AsyncClient) -> None:
    assert refusal(await api.get(f"{JOBS}/nobody/root")) == (404, "not_found")


async def test_a_parent_waits_for_its_children(api: httpx.AsyncClient) -> None:
    tree = await add(api, node("root", node("child", queue="reports")))
    assert tree["job"]["state"] == "waiting-children"


async def test_jobs_without_an_id_get_fresh_ones(api: httpx.AsyncClient) -> None:
    trees = [await add(api, node("root", node("child"))) for _ in range(2)]
    assert len({job["job"]["id"] for tree in trees for job in (tree, *tree["children"])}) == 4


async def test_a_job_keeps_the_id_it_is_given(api: httpx.AsyncClient) -> None:
    tree = await add(api, node("root", node("child", jobId="order-42/items")))
    assert tree["children"][0]["job"]["id"] == "order-42/items"


async def test_a_fresh_id_is_not_among_the_options(api: httpx.AsyncClient) -> None:
    assert "jobId" not in (await add(api, node("root")))["job"]["opts"]


async def test_a_root_may_name_an_existing_parent(api: httpx.AsyncClient) -> None:
    parent = await add(api, node("parent", node("child")))
    await add(api, node("late", parent={"id": parent["job"]["id"], "queue": "emails"}))
    below = (await get(api, parent["job"]["id"]))["children"]
    assert {tree["job"]["name"] for tree in below} == {"child", "late"}


async def test_a_root_whose_parent_is_gone_is_not_found(api: httpx.AsyncClient) -> None:
    flow = node("root", node("child"), parent={"id": "gone", "queue": "reports"})
    answer = await send(api, "POST", FLOWS, {"flow": flow})
    details = {"parent": {"id": "gone", "queue": "reports"}}
    assert (*refusal(answer), answer.json()["details"]) == (404, "not_found", details)


async def test_a_child_of_another_parent_is_refused_and_nothing_added(
    api: httpx.AsyncClient, service: Service
) -> None:
    await add(api, node("first", node("child", jobId="shared")))
    before = await job_count(service)
    answer = await send(api, "POST", FLOWS, {"flow": node("second", node("new"), node("child", jobId="shared"))})
    assert (*refusal(answer), await job_count(service)) == (409, "parent_cannot_be_replaced", before)


async def test_a_flow_whose_root_was_there_says_so(api: httpx.AsyncClient) -> None:
    await add(api, node("root", jobId="daily"))
    assert (await add(api, node("root", jobId="daily")))["job"]["deduplicated"]


async def test_the_options_of_a_queue_hold_for_its_jobs(api: httpx.AsyncClient) -> None:
    defaults = {"reports": {"defaultJobOptions": {"attempts": 7, "priority": 2}}}
    tree = await add(api, node("root", node("child", queue="reports", priority=5)), queuesOptions=defaults)
    opts = tree["children"][0]["job"]["opts"]
    assert (tree["job"]["opts"]["attempts"], opts["attempts"], opts["priority"]) == (0, 7, 5)


async def test_a_childs_own_failure_policy_replaces_its_queues(api: httpx.AsyncClient) -> None:
    defaults = {"emails": {"defaultJobOptions": {"failParentOnFailure": True}}}
    tree = await add(api, node("root", node("child", ignoreDependencyOnFailure=True)), queuesOptions=defaults)
    opts = tree["children"][0]["job"]["opts"]
    assert {"ignoreDependencyOnFailure"} == {name for name in opts if name.endswith("OnFailure")}


async def test_a_queues_size_limit_holds_for_its_jobs(api: httpx.AsyncClient) -> None:
    body = {
        "flow": {**node("root"), "data": "xxxx"},
        "queuesOptions": {"emails": {"defaultJobOptions": {"sizeLimit": 5}}},
    }
    assert problem_paths(await send(api, "POST", FLOWS, body)) == {"flow.data"}


async def test_flows_are_added_in_the_order_of_the_request(api: httpx.AsyncClient) -> None:
    answer = await send(api, "POST", f"{FLOWS}/bulk", {"flows": [node("a", node("b")), node("c")]})
    assert (answer.status_code, [names(tree) for tree in answer.json()["flows"]]) == (
        201,
        [{"a": [{"b": []}]}, {"c": []}],
    )


async def test_flows_are_added_all_or_none(api: httpx.AsyncClient, service: Service) -> None:
    lost = node("lost", parent={"id": "gone", "queue": "emails"})
    await send(api, "POST", f"{FLOWS}/bulk", {"flows": [node("a", node("b")), lost]})
    assert await job_count(service) == 0


async def test_the_same_request_with_its_key_answers_the_same_tree(api: httpx.AsyncClient) -> None:
    body = {"flow": node("root", node("child", node("leaf"), queue="reports"))}
    first, second = [await api.post(FLOWS, json=body, headers=KEY) for _ in range(2)]
    assert second.json() == first.json()


async def test_the_same_request_with_its_key_adds_nothing(api: httpx.AsyncClient, service: Service) -> None:
    body = {"flow": node("root", node("child", queue="reports"))}
    await api.post(FLOWS, json=body, headers=KEY)
    before = await job_count(service)
    await api.post(FLOWS, json=body, headers=KEY)
    assert await job_count(service) == before


async def test_a_replay_knows_the_parents_of_jobs_that_were_removed(api: httpx.AsyncClient) -> None:
    body = {"flow": node("root", node("child", queue="reports"))}
    root = (await api.post(FLOWS, json=body, headers=KEY)).json()["flow"]["job"]["id"]
    await api.delete(f"/v1/queues/emails/jobs/{root}")
    child = (await api.post(FLOWS, json=body, headers=KEY)).json()["flow"]["children"][0]["job"]
    assert (child["state"], child["parent"]) == ("unknown", {"id": root, "queue": "emails"})


async def test_another_flow_with_the_key_is_refused(api: httpx.AsyncClient) -> None:
    await api.post(FLOWS, json={"flow": node("root")}, headers=KEY)
    answer = await api.post(FLOWS, json={"flow": node("other")}, headers=KEY)
    assert refusal(answer) == (422, "idempotency_key_reused")


@pytest.mark.parametrize("path", [FLOWS, f"{FLOWS}/bulk"])
async def test_no_flow_is_added_where_storage_is_full(api: httpx.AsyncClient, service: Service, path: str) -> None:
    service.storage.is_full = True
    flow = node("root")
    answer = await send(api, "POST", path, {"flow": flow} if path == FLOWS else {"flows": [flow]})
    assert refusal(answer) == (503, "storage_full")


async def test_a_flow_of_1000_jobs_is_taken_and_shown(api: httpx.AsyncClient) -> None:
    tree = await add(api, node("root", *[node("child")] * 999))
    assert len((await get(api, tree["job"]["id"], maxChildren=1000))["children"]) == 999


async def test_a_flow_of_20_levels_is_taken_and_shown(api: httpx.AsyncClient) -> None:
    tree = await add(api, chain(20))
    assert await get(api, tree["job"]["id"], depth=20) == tree


async def test_a_flow_is_shown_as_deep_as_was_asked(api: httpx.AsyncClient) -> None:
    tree = await add(api, node("a", node("b", node("c", node("d")))))
    assert names(await get(api, tree["job"]["id"], depth=2)) == {"a": [{"b": []}]}


async def test_a_flow_is_shown_10_levels_deep_unless_asked_otherwise(api: httpx.AsyncClient) -> None:
    shown = await get(api, (await add(api, chain(12)))["job"]["id"])
    assert json.dumps(names(shown)).count("job") == 10


async def test_as_many_children_are_shown_as_were_asked_for(api: httpx.AsyncClient) -> None:
    tree = await add(api, node("root", *[node("child")] * 5))
    assert len((await get(api, tree["job"]["id"], maxChildren=3))["children"]) == 3


async def test_no_more_than_1000_jobs_of_a_flow_are_shown(api: httpx.AsyncClient) -> None:
    root = await add(api, node("root", *[node("child")] * 900))
    parent = {"id": root["job"]["id"], "queue": "emails"}
    more = [node("more", parent=parent) for _ in range(200)]
    (await send(api, "POST", f"{FLOWS}/bulk", {"flows": more})).raise_for_status()
    shown = await get(api, root["job"]["id"], maxChildren=1000)
    assert 1 + len(shown["children"]) == 1000


async def test_a_job_that_was_removed_is_left_out(api: httpx.AsyncClient, service: Service) -> None:
    tree = await add(api, node("root", node("gone"), node("child")))
    scripts = service.jobs.scripts("emails")
    await scripts.connection.execute("DEL", scripts.key(tree["children"][0]["job"]["id"]))
    assert names(await get(api, tree["job"]["id"])) == {"root": [{"child": []}]}


async def test_a_child_of_another_project_is_not_shown(
    api: httpx.AsyncClient, service: Service, project: Project
) -> None:
    tree = await add(api, node("root", node("child")))
    scripts = service.jobs.scripts("emails")
    foreign = f"{project.prefix}2:emails:foreign"
    await scripts.connection.execute("HSET", foreign, "name", "foreign", "timestamp", 1)
    await scripts.connection.execute("SADD", scripts.key(tree["job"]["id"], "dependencies"), foreign)
    assert names(await get(api, tree["job"]["id"])) == {"root": [{"child": []}]}


async def test_a_flow_of_no_job_is_not_found(api: httpx.AsyncClient) -> None:
    assert refusal(await api.get(f"{FLOWS}/emails/nobody")) == (404, "not_found")


@pytest.mark.parametrize("query", ["depth=0", "depth=21", "maxChildren=0", "maxChildren=1001", "depth=x"])
async def test_a_look_beyond_the_limits_is_refused(api: httpx.AsyncClient, query: str) -> None:
    assert problem_paths(await api.get(f"{FLOWS}/emails/1?{query}")) == {query.partition("=")[0]}


async def test_a_leaf_waits_in_its_queue(api: httpx.AsyncClient) -> None:
    await add(api, node("root", node("child"), queue="reports"))
    assert (await api.get(COUNTS)).json()["waiting"] == 1


def _parent(children: list[dict[str, t.Any]]) -> dict[str, t.Any]:
    return node("parent", *children)


trees = st.recursive(
    st.builds(node, st.text(min_size=1, max_size=5), queue=st.sampled_from(["emails", "reports"])),
    lambda inner: st.lists(inner, min_size=1, max_size=3).map(_parent),
    max_leaves=8,
)


@one_service
@given(flow=trees)
async def test_any_tree_is_shown_as_it_was_added(api: httpx.AsyncClient, flow: dict[str, t.Any]) -> None:
    tree = await add(api, flow)
    shown = await get(api, tree["job"]["id"], queue=flow["queueName"], depth=20)
    assert ordered(shown) == ordered(tree)
