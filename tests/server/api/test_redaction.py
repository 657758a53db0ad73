"""A viewer's key sees no secret of a job, whatever route shows it; an operator's key does."""

from __future__ import annotations

import dataclasses
import typing as t

import httpx
import pytest

from nextmq_handler.rules.search.redaction import Redaction
from nextmq_server.api.app import create_app
from nextmq_server.api.events import encode
from nextmq_server.engine.events.streams import Event, StreamId
from nextmq_server.projects.projects import Project
from nextmq_server.projects.roles import ApiKey, Role
from nextmq_server.service import Service
from tests.support.api import JOBS

from .test_roles import ROUTES

pytestmark = pytest.mark.anyio

SECRET = "hunter2"
DATA = {"password": SECRET, "to": "ada"}
TRIGGER = {"url": "https://app.example/", "payload": DATA, "repeat": {"every": 60_000}}
STREAMS = {"GET /v1/queues/{queue}/events"}
SHOWN = sorted(route for route in ROUTES if route.startswith("GET ") and route not in STREAMS)


@pytest.fixture
async def ids(api: httpx.AsyncClient, service: Service) -> dict[str, str]:
    """Put the secret wherever an app or an operator may put it; return the ids of what holds it."""
    flow = {"name": "parent", "queueName": "emails", "data": DATA, "opts": {"jobId": "parent"}}
    child = {"name": "child", "queueName": "emails", "data": DATA, "opts": {"jobId": "child"}}
    (await api.post("/v1/flows", json={"flow": {**flow, "children": [child]}})).raise_for_status()
    (await api.post(f"{JOBS}/parent/logs", json={"row": f"Bearer {SECRET}"})).raise_for_status()
    (await api.put(f"{JOBS}/parent/progress", json={"progress": DATA})).raise_for_status()
    scripts = service.jobs.scripts("emails")
    member = scripts.key("child")
    await scripts.connection.execute(
        "HSET", scripts.key("parent", "processed"), member, f'{{"password":"{SECRET}"}}'
    )
    await scripts.connection.execute("HSET", scripts.key("parent", "failed"), member, f"Bearer {SECRET}")
    template = {"repeat": {"every": 60_000}, "template": {"data": DATA}}
    (await api.put("/v1/queues/emails/schedulers/nightly", json=template)).raise_for_status()
    trigger = (await api.post("/v1/triggers", json=TRIGGER)).raise_for_status().json()
    bulk = {"action": "remove", "queue": "emails", "filter": f"data.password:{SECRET} name:nobody"}
    operation = (await api.post("/v1/bulk", json=bulk)).raise_for_status().json()
    return {"jobs": "parent", "schedulers": "nightly", "triggers": trigger["id"], "bulk": operation["id"]}


@pytest.fixture
def viewer(service: Service, project: Project) -> httpx.AsyncClient:
    key = ApiKey(f"nmq_{project.name}_viewer", Role.VIEWER, "the viewer")
    service.credentials.rotate(dataclasses.replace(project, api_keys=(project.api_key, key)))
    return httpx.AsyncClient(
        transport=httpx.ASGITransport(create_app(service)),
        base_url="http://server.example",
        headers={"authorization": f"Bearer {key.key}"},
    )


def path_of(route: str, ids: t.Mapping[str, str]) -> str:
    path = route.removeprefix("GET ").replace("{queue}", "emails").replace("{state}", "failed")
    kind = next((kind for kind in ids if f"/{kind}/" in path), "jobs")
    return path.replace("{id}", ids[kind])


async def shown_to(client: httpx.AsyncClient, ids: t.Mapping[str, str]) -> set[str]:
    """Return the routes that show the secret."""
    answers = {route: await client.get(path_of(route, ids), params=_query(route)) for route in SHOWN}
    return {route for route, answer in answers.items() if SECRET in answer.text}


def _query(route: str) -> dict[str, str]:
    needed = {
        "GET /v1/search": {"q": "name:parent"},
        "GET /v1/queues/{queue}/counts-per-priority": {"priorities": "0"},
    }
    return needed.get(route, {})


async def test_no_route_shows_a_viewer_a_secret(viewer: httpx.AsyncClient, ids: dict[str, str]) -> None:
    assert await shown_to(viewer, ids) == set()


async def test_the_same_routes_show_it_to_an_admin(api: httpx.AsyncClient, ids: dict[str, str]) -> None:
    assert await shown_to(api, ids) >= {
        "GET /v1/bulk",
        "GET /v1/bulk/{id}",
        "GET /v1/flows/{queue}/{id}",
        "GET /v1/queues/{queue}/jobs",
        "GET /v1/queues/{queue}/jobs/{id}",
        "GET /v1/queues/{queue}/jobs/{id}/children-values",
        "GET /v1/queues/{queue}/jobs/{id}/dependencies",
        "GET /v1/queues/{queue}/jobs/{id}/ignored-failures",
        "GET /v1/queues/{queue}/jobs/{id}/logs",
        "GET /v1/queues/{queue}/schedulers",
        "GET /v1/queues/{queue}/schedulers/{id}",
        "GET /v1/search",
        "GET /v1/triggers",
        "GET /v1/triggers/{id}",
    }


@pytest.mark.parametrize(
    ("name", "fields"),
    [
        ("completed", {"jobId": "1", "returnvalue": f'{{"password":"{SECRET}"}}'}),
        ("progress", {"jobId": "1", "data": f'{{"token":"{SECRET}"}}'}),
        ("failed", {"jobId": "1", "failedReason": f"401 for Bearer {SECRET}"}),
    ],
)
async def test_events_hide_it(name: str, fields: dict[str, str]) -> None:
    event = Event(StreamId.parse("1-0"), name, fields)
    assert (SECRET.encode() in encode(event), SECRET.encode() in encode(event, Redaction())) == (True, False)
