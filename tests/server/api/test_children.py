"""What became of a job's children, and how a job and its children are parted."""

from __future__ import annotations

import asyncio
import typing as t

import httpx
import pytest

from nextmq_handler.protocol.outcomes import Completed, Failed
from nextmq_server.embedded import EmbeddedValkey
from nextmq_server.engine.queues.job import EngineJob
from nextmq_server.engine.verdicts import Verdict
from nextmq_server.engine.worker.hub import Hub
from nextmq_server.engine.worker.options import RunnerOptions
from nextmq_server.redis.address import Address
from nextmq_server.redis.keys import ProjectKeys
from tests.support.api import JOBS, problem_paths, refusal

if t.TYPE_CHECKING:
    from nextmq_server.projects.projects import Project
    from nextmq_server.service import Service

    from ..conftest import App, WaitUntil

pytestmark = pytest.mark.anyio

Run = t.Callable[..., t.Awaitable[None]]

PARENT = f"{JOBS}/parent"
CHILD = "/v1/queues/reports/jobs/child"
VALUE = {"pages": [1, None, "\ud800"]}
POLICIES = {"ignored": "ignoreDependencyOnFailure", "lost": "failParentOnFailure"}
COUNTED = {"processed": 1, "unprocessed": 1, "ignored": 1, "failed": 1}


async def process(job: EngineJob) -> Verdict:
    """Children fail that have a policy for it, the others complete."""
    return Failed("Error", "no") if job.name in POLICIES else Completed(VALUE)


@pytest.fixture
async def run(valkey: EmbeddedValkey, project: Project) -> t.AsyncIterator[Run]:
    """Run queues of the project."""
    hub = Hub(
        Address(valkey.url), ProjectKeys(project.name), prefix=project.prefix, instance_id="children", alone=False
    )
    await hub.start()

    async def start(*queues: str) -> None:
        for queue in queues:
            await hub.add(queue, RunnerOptions(concurrency=10), process)

    yield start
    await hub.stop(grace=0)


async def add(api: httpx.AsyncClient, *children: str, queue: str = "reports") -> None:
    """Return a flow of `parent` with children of these names and ids; the child `open` is in queue idle."""
    nodes: list[dict[str, t.Any]] = []
    for name in children:
        policy = {POLICIES[name]: True} if name in POLICIES else {}
        nodes.append(
            {"name": name, "queueName": "idle" if name == "open" else queue, "opts": {"jobId": name, **policy}}
        )
    flow = {"name": "parent", "queueName": "emails", "opts": {"jobId": "parent"}, "children": nodes}
    (await api.post("/v1/flows", json={"flow": flow})).raise_for_status()


async def get(api: httpx.AsyncClient, what: str, **params: int) -> t.Any:
    return (await api.get(f"{PARENT}/{what}", params=params)).raise_for_status().json()


async def states(api: httpx.AsyncClient, *paths: str) -> list[str]:
    answers = await asyncio.gather(*map(api.get, paths))
    return [answer.json().get("state", "gone") for answer in answers]


async def counts(api: httpx.AsyncClient) -> dict[str, int]:
    return dict((await get(api, "dependencies"))["counts"])


@pytest.fixture
async def family(api: httpx.AsyncClient, run: Run, wait_until: WaitUntil) -> None:
    """Add a parent with a child of each kind: processed, open, ignored, and lost, which failed."""
    await add(api, "processed", "open", "ignored", "lost")
    await run("reports")

    async def are_done() -> bool:
        return await counts(api) == COUNTED

    await wait_until(are_done)


@pytest.mark.usefixtures("family")
async def test_the_values_are_those_of_the_children_that_completed(api: httpx.AsyncClient) -> None:
    assert await get(api, "children-values") == {"values": {"reports:processed": VALUE}}


@pytest.mark.usefixtures("family")
async def test_the_ignored_failures_are_told_with_their_reasons(api: httpx.AsyncClient) -> None:
    assert await get(api, "ignored-failures") == {"failures": {"reports:ignored": "Error: no"}}


@pytest.mark.usefixtures("family")
async def test_the_dependencies_are_told_by_what_became_of_them(api: httpx.AsyncClient) -> None:
    assert await get(api, "dependencies") == {
        "processed": {"reports:processed": VALUE},
        "unprocessed": ["idle:open"],
        "ignored": {"reports:ignored": "Error: no"},
        "failed": ["reports:lost"],
        "counts": COUNTED,
    }


async def test_a_job_without_children_has_no_dependencies(api: httpx.AsyncClient) -> None:
    await add(api)
    none: dict[str, t.Any] = {"processed": {}, "unprocessed": [], "ignored": {}, "failed": []}
    assert await get(api, "dependencies") == {**none, "counts": dict.fromkeys(COUNTED, 0)}


@pytest.mark.parametrize(
    ("kind", "command"),
    [("processed", "HSET"), ("dependencies", "SADD"), ("failed", "HSET"), ("unsuccessful", "ZADD")],
)
async def test_no_more_dependencies_of_a_kind_are_told_than_were_asked_for(
    api: httpx.AsyncClient, service: Service, kind: str, command: str
) -> None:
    await add(api)
    scripts = service.jobs.scripts("emails")
    for number in range(1500):
        child = service.jobs.scripts("reports").key(f"child{number}")
        members = {"HSET": (child, "1"), "SADD": (child,), "ZADD": (1, child)}[command]
        scripts.connection.execute(command, scripts.key("parent", kind), *members)
    found = await get(api, "dependencies", limit=700)
    told = [len(found[name]) for name in COUNTED]
    assert (sorted(told), max(found["counts"].values())) == ([0, 0, 0, 700], 1500)


@pytest.mark.parametrize("limit", [0, 1001])
async def test_a_limit_is_from_1_to_1000(api: httpx.AsyncClient, limit: int) -> None:
    assert problem_paths(await api.get(f"{PARENT}/dependencies?limit={limit}")) == {"limit"}


@pytest.mark.parametrize(
    ("kind", "command", "path", "member"),
    [
        ("processed", "HSET", "children-values", "values"),
        ("failed", "HSET", "ignored-failures", "failures"),
        ("dependencies", "SADD", "dependencies", "unprocessed"),
        ("unsuccessful", "ZADD", "dependencies", "failed"),
    ],
)
async def test_children_of_another_project_are_not_told(
    api: httpx.AsyncClient, service: Service, kind: str, command: str, path: str, member: str
) -> None:
    await add(api)
    scripts = service.jobs.scripts("emails")
    foreign = f"{service.project.prefix}2:emails:1"
    members = {"HSET": (foreign, "1"), "SADD": (foreign,), "ZADD": (1, foreign)}[command]
    await scripts.connection.execute(command, scripts.key("parent", kind), *members)
    assert not (await get(api, path))[member]


async def test_a_value_that_is_no_json_is_told_as_text(api: httpx.AsyncClient, service: Service) -> None:
    await add(api)
    scripts = service.jobs.scripts("emails")
    child = service.jobs.scripts("reports").key("child")
    await scripts.connection.execute("HSET", scripts.key("parent", "processed"), child, "{")
    assert await get(api, "children-values") == {"values": {"reports:child": "{"}}


async def test_a_parent_goes_on_without_a_child_that_is_no_dependency_any_more(
    api: httpx.AsyncClient, run: Run, wait_until: WaitUntil
) -> None:
    await add(api, "child")
    await run("emails")
    assert (await api.delete(f"{CHILD}/parent")).json() == {"removed": True}

    async def has_run() -> bool:
        return await states(api, PARENT, CHILD) == ["completed", "waiting"]

    await wait_until(has_run)


async def test_a_child_that_is_no_dependency_any_more_has_no_parent(api: httpx.AsyncClient) -> None:
    await add(api, "child")
    await api.delete(f"{CHILD}/parent")
    assert (await api.get(CHILD)).json()["parent"] is None


async def test_a_job_without_a_parent_is_no_dependency(api: httpx.AsyncClient) -> None:
    await add(api)
    assert (await api.delete(f"{PARENT}/parent")).json() == {"removed": False}


@pytest.mark.usefixtures("family")
async def test_a_child_that_completed_is_no_dependency(api: httpx.AsyncClient) -> None:
    answer = await api.delete("/v1/queues/reports/jobs/processed/parent")
    assert answer.json() == {"removed": False}


async def test_a_child_whose_parent_is_gone_is_no_dependency(api: httpx.AsyncClient, service: Service) -> None:
    await add(api, "child")
    scripts = service.jobs.scripts("emails")
    await scripts.connection.execute("DEL", scripts.key("parent"))
    assert (await api.delete(f"{CHILD}/parent")).json() == {"removed": False}


async def test_a_parent_of_another_project_is_left_alone(api: httpx.AsyncClient, service: Service) -> None:
    await add(api, "child")
    scripts = service.jobs.scripts("reports")
    foreign = f"{service.project.prefix}2:emails:1"
    await scripts.connection.execute("HSET", foreign, "name", "foreign")
    await scripts.connection.execute("SADD", f"{foreign}:dependencies", scripts.key("child"))
    await scripts.connection.execute("HSET", scripts.key("child"), "parentKey", foreign)
    await api.delete(f"{CHILD}/parent")
    assert await scripts.connection.execute("SCARD", f"{foreign}:dependencies") == 1


@pytest.mark.usefixtures("family")
async def test_removing_the_unprocessed_children_leaves_the_others(api: httpx.AsyncClient) -> None:
    await api.delete(f"{PARENT}/children")
    children = [f"/v1/queues/reports/jobs/{name}" for name in ("processed", "ignored", "lost")]
    found = await states(api, "/v1/queues/idle/jobs/open", *children)
    assert found == ["gone", "completed", "failed", "failed"]


async def test_a_parent_runs_once_its_unprocessed_children_are_removed(
    api: httpx.AsyncClient, run: Run, wait_until: WaitUntil
) -> None:
    await add(api, "child", "open")
    await run("emails")
    assert (await api.delete(f"{PARENT}/children")).json() == {}

    async def has_run() -> bool:
        return await states(api, PARENT) == ["completed"]

    await wait_until(has_run)


async def test_a_child_that_runs_is_not_removed(api: httpx.AsyncClient, app: App, wait_until: WaitUntil) -> None:
    app.gate.clear()
    await api.put("/v1/queues/reports/worker", json=app.registration())
    await add(api, "child")
    await wait_until(lambda: app.deliveries)
    await api.delete(f"{PARENT}/children")
    assert await states(api, CHILD) == ["active"]
    app.gate.set()


@pytest.mark.parametrize(
    ("method", "path"),
    [
        ("GET", "children-values"),
        ("GET", "ignored-failures"),
        ("GET", "dependencies"),
        ("DELETE", "parent"),
        ("DELETE", "children"),
    ],
)
async def test_what_is_no_job_has_no_family(api: httpx.AsyncClient, method: str, path: str) -> None:
    assert refusal(await api.request(method, f"{PARENT}/{path}")) == (404, "not_found")


@pytest.mark.parametrize("path", ["parent", "children"])
async def test_a_delivery_that_does_not_own_the_job_changes_nothing(api: httpx.AsyncClient, path: str) -> None:
    await add(api, "child")
    headers = {"x-nextmq-delivery": "dlv_of_nobody"}
    job = CHILD if path == "parent" else PARENT
    assert refusal(await api.delete(f"{job}/{path}", headers=headers)) == (409, "stale_delivery")
    assert (await counts(api))["unprocessed"] == 1
