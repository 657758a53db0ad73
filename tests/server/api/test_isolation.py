"""Two projects on one server and one Redis: with B's key nothing of A can be read, changed, or even guessed at."""

from __future__ import annotations

import json
import re
import typing as t

import httpx
import pytest

from nextmq_server.dispatch.egress.rules import EgressRules
from nextmq_server.embedded import EmbeddedValkey
from nextmq_server.projects.projects import Project, new_project
from nextmq_server.service import Service
from tests.support.api import registration
from tests.support.rest_api import documented, rest_api

pytestmark = pytest.mark.anyio

SECRET = "of A, and of nobody else"
REPEAT = {"repeat": {"every": 3_600_000}, "template": {"name": "welcome", "data": SECRET}}
TRIGGER = {"url": "https://a.example/hook", "payload": SECRET, "repeat": {"every": 3_600_000}}

BODIES: dict[tuple[str, str], object] = {
    ("POST", "/v1/queues/{queue}/jobs"): {
        "name": "x",
        "opts": {"jobId": "secret", "deduplication": {"id": "secret"}},
    },
    ("POST", "/v1/queues/{queue}/jobs/bulk"): {"jobs": [{"name": "x", "opts": {"jobId": "secret"}}]},
    ("POST", "/v1/queues/{queue}/jobs/{id}/retry"): {},
    ("PUT", "/v1/queues/{queue}/jobs/{id}/data"): {"data": "of B"},
    ("PUT", "/v1/queues/{queue}/jobs/{id}/progress"): {"progress": "of B"},
    ("PUT", "/v1/queues/{queue}/jobs/{id}/delay"): {"delay": 1},
    ("PUT", "/v1/queues/{queue}/jobs/{id}/priority"): {"priority": 1},
    ("POST", "/v1/queues/{queue}/jobs/{id}/logs"): {"row": "of B"},
    ("POST", "/v1/queues/{queue}/drain"): {"delayed": True},
    ("POST", "/v1/queues/{queue}/clean"): {"grace": 0, "state": "wait"},
    ("POST", "/v1/queues/{queue}/obliterate"): {"force": True},
    ("POST", "/v1/queues/{queue}/retry-jobs"): {},
    ("POST", "/v1/queues/{queue}/trim-events"): {"maxLength": 0},
    ("POST", "/v1/queues/{queue}/redrive"): {},
    ("PUT", "/v1/queues/{queue}/concurrency"): {"concurrency": 7},
    ("PUT", "/v1/queues/{queue}/rate-limit"): {"max": 7, "duration": 7},
    ("PUT", "/v1/queues/{queue}/rate-limited"): {"duration": 1000},
    ("PUT", "/v1/queues/{queue}/schedulers/{id}"): {"repeat": {"every": 1000}},
    ("POST", "/v1/flows"): {
        "flow": {"name": "x", "queueName": "emails", "children": [{"name": "y", "queueName": "emails"}]}
    },
    ("POST", "/v1/flows/bulk"): {"flows": [{"name": "x", "queueName": "emails"}]},
    ("POST", "/v1/bulk"): {"action": "remove", "queue": "emails", "ids": ["secret"]},
    ("PUT", "/v1/alerts/rules/{id}"): {"when": "held"},
    ("POST", "/v1/triggers"): {"url": "https://b.example", "payload": None, "repeat": {"every": 60_000}},
}
"""What is sent to the routes that take a body; the others are called without one."""

NO_BODY = {"cancel", "probe", "run", "pause", "resume", "promote", "promote-jobs", "fire", "rotate-secret", "test"}


class Projects(t.NamedTuple):
    """Project A, which has something of everything, and clients with the keys of A and of B."""

    a: Project
    a_service: Service
    a_client: httpx.AsyncClient
    b_client: httpx.AsyncClient
    ids: list[str]


def routes() -> list[tuple[str, str]]:
    """Return method and path of every documented route that needs a key."""
    paths = documented()["paths"]
    found = [(method.upper(), path) for path, operations in paths.items() for method in operations]
    # A stream of events has no end that could be waited for: it has a test of its own.
    return [route for route in found if route[1].startswith("/v1/") and not route[1].endswith("/events")]


@pytest.fixture
async def projects(valkey: EmbeddedValkey, project: Project) -> t.AsyncIterator[Projects]:
    other = new_project(f"{project.name}-b")
    b = Project(other.name, other.api_keys, other.webhook_secrets, prefix=f"{project.prefix}b")
    services = [Service(one, valkey.url, egress=EgressRules.for_development()) for one in (project, b)]
    for service in services:
        await service.start()
    transport = httpx.ASGITransport(rest_api(*services))
    clients = [
        httpx.AsyncClient(
            transport=transport,
            base_url="http://server.example",
            headers={"authorization": f"Bearer {one.api_key}"},
        )
        for one in (project, b)
    ]
    async with clients[0], clients[1]:
        ids = await fill(clients[0], project)
        yield Projects(project, services[0], clients[0], clients[1], ids)
    for service in services:
        await service.stop(grace=0)


async def fill(client: httpx.AsyncClient, project: Project) -> list[str]:
    """Give the project something of everything; the ids of what it has."""

    async def do(method: str, path: str, body: object, **headers: str) -> t.Any:
        answer = await client.request(method, path, json=body, headers=headers)
        assert answer.is_success, f"{method} {path}: {answer.text}"
        return answer.json()

    await do("POST", "/v1/queues/emails/pause", None)
    opts = {"jobId": "secret", "deduplication": {"id": "secret"}}
    job = {"name": SECRET, "data": SECRET, "opts": opts}
    await do("POST", "/v1/queues/emails/jobs", job, **{"idempotency-key": "secret"})
    await do("POST", "/v1/queues/emails/jobs/secret/logs", {"row": SECRET})
    delayed = await do("POST", "/v1/queues/emails/jobs", {"name": SECRET, "opts": {"delay": 3_600_000}})
    child = {"name": SECRET, "queueName": "emails", "data": SECRET}
    flow = {"name": SECRET, "queueName": "emails", "data": SECRET, "children": [child]}
    parent = await do("POST", "/v1/flows", {"flow": flow})
    await do("PUT", "/v1/queues/emails/schedulers/secret", REPEAT)
    trigger = await do("POST", "/v1/triggers", TRIGGER)
    await do("PUT", "/v1/queues/emails/worker", registration(project, url="https://a.example/queues/emails"))
    return ["secret", delayed["id"], parent["flow"]["job"]["id"], trigger["id"]]


async def everything(projects: Projects) -> dict[str, object]:
    """All that Redis holds of project A, but for what its own server changes: markers, counts, times of checks."""
    redis = projects.a_service.jobs.scripts("emails").connection
    found: dict[str, object] = {}
    of_servers = re.compile(r":(minutes|hours|alerts-judge)(:|$)")
    for pattern in (f"{projects.a.prefix}:*", f"{projects.a.prefix}-*", f"nextmq:{{{projects.a.name}}}:*"):
        for key in sorted(await redis.execute("KEYS", pattern)):
            if not key.endswith((":marker", ":stalled-check")) and not of_servers.search(key):
                found[key] = await redis.execute("DUMP", key)
    return found


@pytest.mark.parametrize("route", routes(), ids=" ".join)
async def test_a_route_neither_shows_nor_changes_what_another_project_has(
    projects: Projects, route: tuple[str, str]
) -> None:
    method, path = route
    body = BODIES.get(route)
    takes_body = method in ("POST", "PUT") and path.rpartition("/")[2] not in NO_BODY
    assert body is not None or not takes_body or path.endswith("/worker"), "say in BODIES what to send there"
    if path.endswith("/worker"):
        body = {**registration(projects.a), "fingerprint": "of-b"}
    before = await everything(projects)
    seen: list[str] = []
    for id in projects.ids:
        url = path.format(queue="emails", id=id, state="completed")
        headers = {"idempotency-key": "secret"} if method == "POST" else {}
        answer = await projects.b_client.request(
            method, url, json=body, headers=headers, params={"priorities": "0"}
        )
        assert not answer.is_server_error, answer.text
        seen.append(answer.text)
    assert SECRET not in json.dumps(seen)
    assert await everything(projects) == before


async def test_a_job_of_another_project_cannot_be_a_parent(projects: Projects) -> None:
    body = {"name": "x", "opts": {"parent": {"id": "secret", "queue": "emails"}}}
    assert (await projects.b_client.post("/v1/queues/emails/jobs", json=body)).status_code == 404


async def test_the_key_of_one_project_does_not_open_the_other(projects: Projects) -> None:
    counts = [
        (await client.get("/v1/queues/emails/counts")).json() for client in (projects.a_client, projects.b_client)
    ]
    assert [any(numbers.values()) for numbers in counts] == [True, False]
