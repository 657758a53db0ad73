"""Every answer that lists ends at a bounded size and names where to go on, however large the items are."""

from __future__ import annotations

import typing as t
from urllib.parse import quote

import httpx
import pytest

from nextmq_server.api import flows
from nextmq_server.api.http import paging
from nextmq_server.api.operation import overview
from nextmq_server.engine.queues import reading
from nextmq_server.projects.projects import Project
from nextmq_server.service import Service
from tests.support.api import JOBS, WORKER, registration, send
from tests.support.rest_api import documented

pytestmark = pytest.mark.anyio

COUNT = 12
SIZE = 3000
TEXT = "é" * SIZE
ANSWER = 20_000
"""The limit of an answer in these tests, in bytes: three items fit."""
PIECE = 10_000
QUEUES = 60


async def add_jobs(api: httpx.AsyncClient, service: Service, project: Project) -> None:
    jobs = [{"name": "a", "data": TEXT, "opts": {"jobId": f"job-{i}"}} for i in range(COUNT)]
    jobs += [{"name": "a", "data": TEXT, "opts": {"jobId": f"late-{i}", "delay": 10**8}} for i in range(COUNT)]
    (await send(api, "POST", f"{JOBS}/bulk", {"jobs": jobs})).raise_for_status()


async def add_children(api: httpx.AsyncClient, service: Service, project: Project) -> None:
    await add_jobs(api, service, project)
    scripts = service.jobs.scripts("emails")
    for kind in ("processed", "failed"):
        for i in range(COUNT):
            child = service.jobs.scripts("reports").key(f"child-{i}")
            await scripts.connection.execute("HSET", scripts.key("job-0", kind), child, f'"{TEXT}"')


async def add_logs(api: httpx.AsyncClient, service: Service, project: Project) -> None:
    await add_jobs(api, service, project)
    for i in range(COUNT):
        (await send(api, "POST", f"{JOBS}/job-0/logs", {"row": f"{i} {TEXT}"})).raise_for_status()


async def add_workers(api: httpx.AsyncClient, service: Service, project: Project) -> None:
    for i in range(COUNT):
        body = registration(project, schemas={"a": {"description": TEXT}})
        (await api.put(WORKER.replace("emails", f"emails-{i:02}"), json=body)).raise_for_status()


async def add_queues(api: httpx.AsyncClient, service: Service, project: Project) -> None:
    for i in range(QUEUES):
        name = f"{i:02}-{'x' * 90}"
        await service.add([service.jobs.new(name, "a", None, {}, now=0)])


class Listing(t.NamedTuple):
    """A route that lists: how to fill it, its path, the member with the items, and how many items there are."""

    fill: t.Callable[[httpx.AsyncClient, Service, Project], t.Awaitable[None]]
    path: str
    member: str
    size: int


LISTINGS = {
    "jobs of a state": Listing(add_jobs, f"{JOBS}?states=waiting&end=999", "jobs", COUNT),
    "jobs of a state, oldest first": Listing(add_jobs, f"{JOBS}?states=waiting&end=999&asc=true", "jobs", COUNT),
    "jobs of two states": Listing(add_jobs, f"{JOBS}?states=delayed,waiting&end=999", "jobs", 2 * COUNT),
    "jobs of all states": Listing(add_jobs, f"{JOBS}?end=999", "jobs", 2 * COUNT),
    "some jobs of two states": Listing(add_jobs, f"{JOBS}?states=waiting,delayed&start=1&end=8", "jobs", 16),
    "values of children": Listing(add_children, f"{JOBS}/job-0/children-values", "values", COUNT),
    "ignored failures": Listing(add_children, f"{JOBS}/job-0/ignored-failures", "failures", COUNT),
    "log lines": Listing(add_logs, f"{JOBS}/job-0/logs", "logs", COUNT),
    "log lines, newest first": Listing(add_logs, f"{JOBS}/job-0/logs?asc=false", "logs", COUNT),
    "some log lines": Listing(add_logs, f"{JOBS}/job-0/logs?start=2&end=9", "logs", 8),
    "queues": Listing(add_workers, "/v1/queues", "queues", COUNT),
    "overview": Listing(add_queues, "/v1/overview", "queues", QUEUES),
    "workers": Listing(add_workers, "/v1/workers", "workers", COUNT),
}
BOUNDED = {
    "/v1/alerts": "at most 100 rules, and what they have found: 2,000 of it",
    "/v1/audit": "at most 1,000 entries of 3 KiB, the rest by its cursor",
    "/v1/flows/{queue}/{id}": "its tree names the jobs that were left out: tested below",
    "/v1/queues/{queue}/events": "a stream: one event at a time",
    "/v1/queues/{queue}/jobs/{id}": "one job",
    "/v1/queues/{queue}/jobs/{id}/dependencies": "4 MiB of values, the rest by children-values: tested below",
    "/v1/queues/{queue}/jobs/{id}/result": "one result",
    "/v1/queues/{queue}/schedulers": "at most 1,000 schedulers",
    "/v1/bulk": "at most 100 operations",
    "/v1/search": "4 MiB of jobs, the rest by its cursor",
    "/v1/triggers": "at most 32 MiB of triggers in a project",
}
"""Routes whose answers hold data of callers and have another bound."""
SMALL = {
    *(
        "/v1/failures",
        "/v1/server",
        "/v1/bulk/{id}",
        "/healthz",
        "/metrics",
        "/readyz",
        "/v1/project",
        "/v1/triggers/{id}",
        "/v1/triggers/{id}/runs",
    ),
    *(
        f"/v1/queues/{{queue}}{path}"
        for path in (
            *(
                "",
                "/jobs/{id}/root",
                "/concurrency",
                "/counts",
                "/counts-per-priority",
                "/deduplication/{id}",
                "/maxed",
            ),
            *(
                "/jobs/{id}/root",
                "/metrics",
                "/metrics/{state}",
                "/rate-limit",
                "/rate-limited",
                "/schedulers/{id}",
                "/worker",
                "/workers",
            ),
            *("/why", "/jobs/{id}/why", "/jobs/{id}/root"),
        )
    ),
}
"""Routes whose answers have a few numbers and names, or one object of bounded size."""


@pytest.fixture(autouse=True)
def small_limits(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(paging, "MAX_ANSWER", ANSWER)
    monkeypatch.setattr(flows, "MAX_ANSWER", ANSWER)
    monkeypatch.setattr(paging, "SENT_AT", 1000)
    monkeypatch.setattr(flows, "SENT_AT", 1000)
    monkeypatch.setattr(overview, "ROWS_AT_ONCE", 3)
    monkeypatch.setattr(reading, "PIECE", PIECE)


def test_every_route_that_reads_is_listed_here() -> None:
    paths = documented()["paths"]
    reading_routes = {path for path, operations in paths.items() if "get" in operations}
    paged = {
        path
        for path in reading_routes
        for parameter in paths[path]["get"].get("parameters", ())
        if parameter["name"] == "from" and not path.endswith("/events")
    }
    tested = {listing.path.partition("?")[0].replace("emails", "{queue}") for listing in LISTINGS.values()}
    assert {path.replace("job-0", "{id}") for path in tested} == paged
    assert reading_routes == paged | BOUNDED.keys() | SMALL


@pytest.mark.parametrize("what", LISTINGS)
async def test_each_answer_is_bounded_and_the_answers_together_have_every_item_once(
    api: httpx.AsyncClient, service: Service, project: Project, what: str
) -> None:
    listing = LISTINGS[what]
    await listing.fill(api, service, project)
    found: list[str] = []
    following, answers = "", 0
    while True:
        answer = (await api.get(listing.path + following)).raise_for_status()
        assert len(answer.content) < ANSWER + 500
        items = answer.json()[listing.member]
        found += [str(item) for item in (items.items() if isinstance(items, dict) else items)]
        answers += 1
        if (position := answer.json().get("next")) is None:
            break
        following = ("&" if "?" in listing.path else "?") + "from=" + quote(position, safe="")
    assert (len(found), len(set(found)), answers > 1) == (listing.size, listing.size, True)


@pytest.mark.parametrize("what", LISTINGS)
async def test_a_short_list_is_answered_whole_without_next(
    api: httpx.AsyncClient, service: Service, project: Project, what: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(paging, "MAX_ANSWER", 10**9)
    await LISTINGS[what].fill(api, service, project)
    answer = (await api.get(LISTINGS[what].path)).raise_for_status().json()
    assert ("next" in answer, len(answer[LISTINGS[what].member])) == (False, LISTINGS[what].size)


@pytest.mark.parametrize(
    "position", ["x", "waiting", "waiting:-1", "failed:1", "waiting:1000", "waiting:1e3", ":1"]
)
async def test_a_place_that_is_not_of_the_list_is_refused(api: httpx.AsyncClient, position: str) -> None:
    answer = await api.get(JOBS, params={"states": "waiting", "from": position})
    assert (answer.status_code, answer.json()["message"].partition(":")[0]) == (422, "from")


async def test_a_flow_names_the_jobs_that_it_had_no_room_for(api: httpx.AsyncClient) -> None:
    def node(id: str, *children: object) -> dict[str, t.Any]:
        opts = {"jobId": id}
        return {"name": "a", "queueName": "emails", "data": TEXT, "opts": opts, "children": children}

    middle = [node(f"middle-{i}", *(node(f"leaf-{i}-{j}") for j in range(3))) for i in range(4)]
    (await send(api, "POST", "/v1/flows", {"flow": node("root", *middle)})).raise_for_status()
    left, seen = ["root"], list[str]()
    while left:
        answer = (await api.get(f"/v1/flows/emails/{left.pop()}")).raise_for_status()
        assert len(answer.content) < ANSWER + 2000
        seen += _ids(answer.json())
        left += [place["id"] for place in answer.json().get("next", ())]
    assert (len(seen), len(set(seen))) == (17, 17)


async def test_a_bulk_of_jobs_that_exist_shows_those_that_there_is_room_for(
    api: httpx.AsyncClient, monkeypatch: pytest.MonkeyPatch
) -> None:
    from nextmq_server.api import jobs

    monkeypatch.setattr(jobs, "MAX_READ", ANSWER)
    body = {"jobs": [{"name": "a", "data": TEXT, "opts": {"jobId": f"job-{i}"}} for i in range(COUNT)]}
    (await send(api, "POST", f"{JOBS}/bulk", body)).raise_for_status()
    again = (await send(api, "POST", f"{JOBS}/bulk", body)).raise_for_status()
    shown = again.json()["jobs"]
    assert len(again.content) < ANSWER + SIZE * 2 + 5000
    assert {(job["state"], job["deduplicated"]) for job in shown} == {("waiting", True)}
    assert 0 < sum(job["job"] is not None for job in shown) < COUNT


async def test_the_values_of_dependencies_are_bounded(
    api: httpx.AsyncClient, service: Service, project: Project, monkeypatch: pytest.MonkeyPatch
) -> None:
    from nextmq_server.engine.queues import children

    monkeypatch.setattr(children, "MAX_VALUES", ANSWER)
    await add_children(api, service, project)
    answer = (await api.get(f"{JOBS}/job-0/dependencies")).raise_for_status()
    assert (0 < len(answer.json()["processed"]) < COUNT, answer.json()["counts"]["processed"]) == (True, COUNT)


def _ids(tree: t.Any) -> list[str]:
    return [tree["job"]["id"], *(id for child in tree["children"] for id in _ids(child))]
