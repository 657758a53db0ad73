"""The audit log: what operators do is in it, before it is done; what apps do is not."""

from __future__ import annotations

import dataclasses
import logging
import typing as t

import httpx
import pytest
from fastapi.routing import APIRoute

from nextmq_server.api import access
from nextmq_server.api.access import Apps
from nextmq_server.api.app import ROUTERS, create_app
from nextmq_server.audit.entries import AuditEntry, Who
from nextmq_server.projects.projects import Project
from nextmq_server.projects.roles import ApiKey, Role
from nextmq_server.service import Service
from tests.support.api import COUNTS, JOBS, WORKER, refusal, registration

pytestmark = pytest.mark.anyio

PAUSE = "/v1/queues/emails/pause"


@pytest.fixture
async def ada(service: Service, project: Project) -> t.AsyncIterator[httpx.AsyncClient]:
    """Give a client with an admin's key, whose name is ada."""
    key = ApiKey(f"nmq_{project.name}_ada", Role.ADMIN, "ada")
    service.credentials.rotate(dataclasses.replace(project, api_keys=(project.api_key, key)))
    async with httpx.AsyncClient(
        transport=httpx.ASGITransport(create_app(service), client=("192.0.2.7", 1234)),
        base_url="http://server.example",
        headers={"authorization": f"Bearer {key.key}"},
    ) as client:
        yield client


async def entries(client: httpx.AsyncClient, **query: str) -> list[dict[str, t.Any]]:
    answer = await client.get("/v1/audit", params=query)
    assert answer.is_success, answer.text
    shown: list[dict[str, t.Any]] = answer.json()["entries"]
    return shown


async def test_it_has_who_did_what_to_which_queue_from_where_in_which_request(ada: httpx.AsyncClient) -> None:
    await ada.post(PAUSE, headers={"x-request-id": "r1"})
    [entry] = await entries(ada)
    who = entry.pop("who")
    assert (who["kind"], who["name"], who["role"]) == ("key", "ada", "admin")
    assert {name: entry[name] for name in ("address", "action", "queue", "outcome", "requestId")} == {
        "address": "192.0.2.7",
        "action": "pause",
        "queue": "emails",
        "outcome": "done",
        "requestId": "r1",
    }


async def test_it_has_the_job_and_why_an_action_was_refused(ada: httpx.AsyncClient) -> None:
    id = (await ada.post(JOBS, json={"name": "welcome"})).json()["id"]
    await ada.post(f"{JOBS}/{id}/retry", json={})
    [entry] = await entries(ada)
    assert (entry["action"], entry["ids"], entry["outcome"]) == ("retry", [id], "wrong_state")


async def test_it_has_how_jobs_were_chosen_and_how_many_there_were(ada: httpx.AsyncClient) -> None:
    for _ in range(30):
        await ada.post(JOBS, json={"name": "welcome", "data": "what is in a job"})
    await ada.post("/v1/queues/emails/clean", json={"state": "wait", "grace": 0})
    [entry] = await entries(ada)
    assert (entry["count"], len(entry["ids"])) == (30, 20)
    assert entry["filter"].startswith("state:wait")
    assert "what is in a job" not in str(entry)


async def test_every_route_that_changes_something_is_in_it_unless_apps_call_it() -> None:
    changing = {
        f"{method} {route.path_format}"
        for router in ROUTERS
        for route in router.routes
        if isinstance(route, APIRoute)
        for method in (route.methods or set()) - {"GET"}
    }
    missing = {route for route in changing if access.ROUTES[route].action is None}
    assert {access.ROUTES[route].apps for route in missing} == {Apps.ALWAYS}


async def test_adds_reads_dry_runs_and_what_apps_do_are_not_in_it(
    ada: httpx.AsyncClient, service: Service, project: Project
) -> None:
    app = ApiKey(f"nmq_{project.name}_app", Role.APP)
    service.credentials.rotate(dataclasses.replace(service.project, api_keys=(*service.project.keys, app)))
    of_app = {"authorization": f"Bearer {app.key}"}
    await ada.post(JOBS, json={"name": "welcome"})
    await ada.get(COUNTS)
    assert (await ada.post("/v1/queues/emails/drain?dryRun=true", json={})).json() == {"matching": 1}
    await ada.put(WORKER, json=registration(project), headers=of_app)
    assert (await ada.delete(WORKER, headers=of_app)).is_success
    assert await entries(ada) == []


async def test_what_cannot_be_noted_is_not_done(ada: httpx.AsyncClient, service: Service) -> None:
    await ada.post(JOBS, json={"name": "welcome"})
    await service.jobs.scripts("emails").connection.execute("SET", service.keys("audit"), "not a stream")
    answer = await ada.post("/v1/queues/emails/obliterate", json={"force": True})
    assert refusal(answer) == (503, "audit_unavailable")
    assert (await ada.get(COUNTS)).json()["waiting"] == 1


async def test_an_action_is_noted_before_it_is_done(
    ada: httpx.AsyncClient, service: Service, monkeypatch: pytest.MonkeyPatch
) -> None:
    seen: list[str] = []

    async def pause(queue: str) -> None:
        seen.extend([entry["outcome"] for entry in await entries(ada)])

    monkeypatch.setattr(service.queues, "pause", pause)
    await ada.post(PAUSE)
    assert seen == ["started"]


async def test_it_is_filtered_by_who_action_and_queue(ada: httpx.AsyncClient, api: httpx.AsyncClient) -> None:
    await ada.post(PAUSE)
    await ada.post("/v1/queues/reports/resume")
    await ada.post("/v1/pause", headers=dict(api.headers))
    [mine] = await entries(ada, who="ada", queue="reports")
    assert mine["action"] == "resume"
    assert [entry["action"] for entry in await entries(ada, who="ada")] == ["resume", "pause"]
    assert [entry["who"]["name"] for entry in await entries(ada, action="pause-all")] == [None]


async def test_its_pages_have_each_action_once_the_newest_first(ada: httpx.AsyncClient) -> None:
    for number in range(7):
        await ada.post(f"/v1/queues/q{number}/pause")
    pages: list[list[str]] = []
    cursor: str | None = ""
    while cursor is not None:
        page = (await ada.get("/v1/audit", params={"limit": 3, **({"cursor": cursor} if cursor else {})})).json()
        pages.append([entry["queue"] for entry in page["entries"]])
        cursor = page["cursor"]
    assert pages == [["q6", "q5", "q4"], ["q3", "q2", "q1"], ["q0"]]


async def test_an_entry_is_bounded_and_has_no_line_break(service: Service, ada: httpx.AsyncClient) -> None:
    who = Who(kind="key", id="0", name=None, role="admin")
    await service.audit.note(
        AuditEntry(who=who, address="", action="x", ids=["i\n" * 500] * 50, filter="f\n" * 5000)
    )
    [entry] = await entries(ada)
    assert (len(entry["ids"]), len(entry["ids"][0]), len(entry["filter"])) == (20, 100, 500)
    assert "\n" not in entry["ids"][0] + entry["filter"]


async def test_the_processes_log_has_each_action(ada: httpx.AsyncClient, caplog: pytest.LogCaptureFixture) -> None:
    with caplog.at_level(logging.INFO, "nextmq_server.audit"):
        await ada.post(PAUSE)
    lines = [record.getMessage() for record in caplog.records if record.name == "nextmq_server.audit"]
    assert [line.rpartition(" from ")[2] for line in lines] == [
        "192.0.2.7: pause emails: started",
        "192.0.2.7: pause emails: done",
    ]


async def test_it_is_written_even_if_the_memory_of_redis_is_full(own_valkey: t.Any, project: Project) -> None:
    service = Service(project, own_valkey.url)
    await service.start()
    try:
        redis = service.jobs.scripts("emails").connection
        await redis.execute("CONFIG", "SET", "maxmemory", "1")
        who = Who(kind="key", id="0", name=None, role="admin")
        assert await service.audit.note(AuditEntry(who=who, address="", action="clean"))
    finally:
        await redis.execute("CONFIG", "SET", "maxmemory", "0")
        await service.stop(grace=0)
