"""Roles of API keys: each route × each role, and what a refusal says."""

from __future__ import annotations

import dataclasses

import httpx
import pytest
from fastapi.routing import APIRoute

from nextmq_server.api import access
from nextmq_server.api.access import Apps
from nextmq_server.api.app import ROUTERS, create_app
from nextmq_server.projects.projects import Project
from nextmq_server.projects.roles import ApiKey, Role
from nextmq_server.service import Service
from tests.support.api import COUNTS, JOBS, WORKER, refusal, registration

pytestmark = pytest.mark.anyio

WITHOUT_KEY = {"/healthz", "/readyz"}
APP_ROUTES = {
    "GET /openapi.json",
    "GET /v1/project",
    "GET /v1/workers",
    "GET /v1/queues/{queue}/worker",
    "PUT /v1/queues/{queue}/worker",
    "DELETE /v1/queues/{queue}/worker",
    "POST /v1/queues/{queue}/worker/probe",
    "POST /v1/queues/{queue}/jobs",
    "POST /v1/queues/{queue}/jobs/bulk",
    "POST /v1/flows",
    "POST /v1/flows/bulk",
    "GET /v1/flows/{queue}/{id}",
    "GET /v1/queues/{queue}/jobs/{id}",
    "GET /v1/queues/{queue}/jobs/{id}/why",
    "GET /v1/queues/{queue}/jobs/{id}/root",
    "GET /v1/queues/{queue}/jobs/{id}/result",
    "GET /v1/queues/{queue}/jobs/{id}/logs",
    "GET /v1/queues/{queue}/jobs/{id}/children-values",
    "GET /v1/queues/{queue}/jobs/{id}/ignored-failures",
    "GET /v1/queues/{queue}/jobs/{id}/dependencies",
    "GET /v1/queues/{queue}/events",
}
"""What a key of the role app may call without a delivery."""


def routes() -> dict[str, APIRoute]:
    """Return every route of the API that needs a key, by method and path."""
    return {
        f"{method} {route.path_format}": route
        for router in ROUTERS
        for route in router.routes
        if isinstance(route, APIRoute) and route.path_format not in WITHOUT_KEY
        for method in route.methods or ()
    }


ROUTES = routes()


@pytest.fixture
async def clients(service: Service, project: Project) -> dict[Role, httpx.AsyncClient]:
    """Give a client with a key of each role."""
    keys = {role: ApiKey(f"nmq_{project.name}_{role}", role, f"the {role}") for role in Role}
    service.credentials.rotate(dataclasses.replace(project, api_keys=(project.api_key, *keys.values())))
    transport = httpx.ASGITransport(create_app(service))
    return {
        role: httpx.AsyncClient(
            transport=transport,
            base_url="http://server.example",
            headers={"authorization": f"Bearer {key.key}"},
        )
        for role, key in keys.items()
    }


async def is_forbidden(client: httpx.AsyncClient, route: str, **headers: str) -> bool:
    """Return whether the route refuses the role. The request is faulty otherwise, so it changes nothing."""
    method, path = route.split()
    url = path.format(queue="an%20impossible%20name", id="1", state="completed")
    answer = await client.request(method, url, headers=headers, params={"no-such-parameter": "1"})
    assert answer.status_code >= 400, route  # the routes take no such parameter
    return refusal(answer) == (403, "forbidden")


async def allowed(client: httpx.AsyncClient, **headers: str) -> set[str]:
    return {route for route in ROUTES if not await is_forbidden(client, route, **headers)}


def test_every_route_declares_its_access() -> None:
    assert [route for route in ROUTES if route not in access.ROUTES] == []


async def test_an_admin_may_call_every_route(clients: dict[Role, httpx.AsyncClient]) -> None:
    assert await allowed(clients[Role.ADMIN]) == set(ROUTES)


async def test_a_viewer_may_read_and_nothing_else(clients: dict[Role, httpx.AsyncClient]) -> None:
    assert await allowed(clients[Role.VIEWER]) == {route for route in ROUTES if route.startswith("GET ")}


async def test_an_operator_may_change_jobs_but_neither_settings_nor_whole_queues(
    clients: dict[Role, httpx.AsyncClient],
) -> None:
    words = ("clean", "drain", "obliterate", "trim-events", "concurrency", "rate-limit", "rotate-secret")
    of_admins = {route for route in ROUTES if not route.startswith("GET ") and route.endswith(words)}
    of_admins |= {route for route in ROUTES if route.startswith(("PUT", "DELETE")) and "/schedulers/" in route}
    of_admins |= {route for route in ROUTES if route.startswith(("PUT", "DELETE", "POST")) and "/alerts" in route}
    of_admins |= {"POST /v1/triggers", "DELETE /v1/triggers/{id}", "PUT /v1/queues/{queue}/rate-limited"}
    of_admins |= {"PUT /v1/queues/{queue}/worker", "DELETE /v1/queues/{queue}/worker"}
    assert await allowed(clients[Role.OPERATOR]) == set(ROUTES) - of_admins


async def test_an_app_may_add_register_and_read_what_it_waits_for(
    clients: dict[Role, httpx.AsyncClient],
) -> None:
    assert await allowed(clients[Role.APP]) == APP_ROUTES & set(ROUTES)


async def test_a_processor_with_an_apps_key_may_also_change_its_job(
    clients: dict[Role, httpx.AsyncClient],
) -> None:
    callbacks = {route for route in ROUTES if access.ROUTES[route].apps is Apps.IN_DELIVERY}
    may = await allowed(clients[Role.APP], **{"x-nextmq-delivery": "d"})
    assert (may - (APP_ROUTES & set(ROUTES)), len(callbacks)) == (callbacks, 6)


async def test_a_delivery_that_does_not_own_the_job_gives_an_apps_key_nothing(
    api: httpx.AsyncClient, clients: dict[Role, httpx.AsyncClient]
) -> None:
    job = f"{JOBS}/{(await api.post(JOBS, json={'name': 'welcome', 'data': 1})).json()['id']}"
    answer = await clients[Role.APP].put(f"{job}/data", json={"data": 2}, headers={"x-nextmq-delivery": "made-up"})
    assert refusal(answer) == (409, "stale_delivery")
    assert (await api.get(job)).json()["data"] == 1


async def test_an_apps_key_adds_registers_and_reads_a_job(
    clients: dict[Role, httpx.AsyncClient], project: Project
) -> None:
    client = clients[Role.APP]
    added = await client.post(JOBS, json={"name": "welcome"})
    registered = await client.put(WORKER, json=registration(project))
    read = await client.get(f"{JOBS}/{added.json()['id']}")
    assert [added.status_code, registered.status_code, read.status_code] == [201, 200, 200]


async def test_a_refusal_names_the_key_its_role_and_the_role_that_is_needed(
    clients: dict[Role, httpx.AsyncClient],
) -> None:
    body = (await clients[Role.VIEWER].post("/v1/queues/emails/pause")).json()
    assert body["message"].endswith("(the viewer) has the role viewer: this route needs operator or admin")
    assert body["details"] == {"role": "viewer", "needed": "operator or admin"}


async def test_a_refused_caller_changes_nothing(
    api: httpx.AsyncClient, clients: dict[Role, httpx.AsyncClient]
) -> None:
    await clients[Role.VIEWER].post(JOBS, json={"name": "welcome"})
    await clients[Role.APP].post("/v1/queues/emails/pause")
    assert set((await api.get(COUNTS)).json().values()) == {0}
    assert not (await api.get("/v1/queues/emails")).json()["isPaused"]


async def test_the_project_shows_the_role_and_the_name_of_the_key_in_use_and_of_all(
    clients: dict[Role, httpx.AsyncClient],
) -> None:
    shown = (await clients[Role.OPERATOR].get("/v1/project")).json()
    assert (shown["key"]["role"], shown["key"]["name"]) == ("operator", "the operator")
    assert [key["role"] for key in shown["apiKeys"]] == ["admin", "app", "viewer", "operator", "admin"]
    assert "nmq_" not in str(shown)
