"""Who sees which page: each route × each role, other sites, other hosts, wrong passwords."""

from __future__ import annotations

import secrets
import typing as t

import httpx
import pytest
from fastapi import FastAPI
from starlette.routing import Route

from nextmq_server.dashboard.app import PAGES, create_dashboard
from nextmq_server.dashboard.users import EVERY_PROJECT, MAX_TRIES, Users
from nextmq_server.projects.projects import Project
from nextmq_server.projects.roles import Role
from nextmq_server.redis.connection import RedisConnection
from nextmq_server.service import Service

from .conftest import ORIGIN, browser, logged_in

pytestmark = pytest.mark.anyio

OPEN = {"/", "/login", "/logout"}
LOGIN = "/dashboard/login"
GUARDED = [route for route in PAGES if route.path not in OPEN]
ROLES = (Role.VIEWER, Role.OPERATOR, Role.ADMIN)


def path_of(route: Route, project: str) -> str:
    return "/dashboard" + route.path_format.format(project=project, queue="emails", id="1")


def test_each_page_says_which_role_it_needs() -> None:
    undeclared = [route.path for route in PAGES if not hasattr(route.endpoint, "least")]
    assert undeclared == []
    assert {route.path for route in PAGES if t.cast("t.Any", route.endpoint).least is None} == OPEN


@pytest.mark.parametrize("route", GUARDED, ids=lambda route: route.path)
async def test_page_is_for_its_roles_only(
    route: Route, served: FastAPI, service: Service, project: Project
) -> None:
    least = t.cast("t.Any", route.endpoint).least
    nobody = await browser(served).get(path_of(route, project.name))
    assert nobody.status_code == 303
    assert nobody.headers["location"].startswith("/dashboard/login?next=")
    for role in ROLES:
        client = await logged_in(served, service, project, role)
        if not route.path.endswith("/live"):  # it does not end
            status = (await client.get(path_of(route, project.name))).status_code
            assert (status in (200, 404)) if role.includes(least) else (status == 403), role
        assert (await client.get(path_of(route, "other"))).status_code == 404


async def test_key_of_an_app_does_not_log_in(served: FastAPI, service: Service, project: Project) -> None:
    with pytest.raises(AssertionError):
        await logged_in(served, service, project, Role.APP)


async def test_removed_key_ends_its_session(viewer: httpx.AsyncClient, service: Service, project: Project) -> None:
    page = f"/dashboard/{project.name}/"
    assert (await viewer.get(page)).status_code == 200
    service.credentials.rotate(project)
    assert (await viewer.get(page)).status_code == 303


async def test_user_logs_in_and_a_new_password_ends_the_session(
    served: FastAPI, project: Project, connection: RedisConnection
) -> None:
    now, name = [0.0], secrets.token_hex(4)
    users = Users(connection, clock=lambda: now[0])
    t.cast("t.Any", served.routes[-1]).app.state.sessions.users = users
    await users.put(name, {project.name: Role.VIEWER}, "a long password")
    client, page = browser(served), f"/dashboard/{project.name}/"
    wrong = await client.post(LOGIN, data={"name": name, "password": "another password"})
    assert (wrong.status_code, "is wrong" in wrong.text) == (401, True)
    right = await client.post(LOGIN, data={"name": name, "password": "a long password", "next": page})
    assert (right.status_code, right.headers["location"]) == (303, page)
    cookie = right.headers["set-cookie"]
    assert all(part in cookie for part in ("HttpOnly", "SameSite=lax", "Path=/dashboard"))
    assert (await client.get(page)).status_code == 200
    await Users(connection).put(name, {project.name: Role.VIEWER}, "a new password")
    now[0] += 6
    assert (await client.get(page)).status_code == 303


async def test_too_many_wrong_passwords_wait(served: FastAPI) -> None:
    name = secrets.token_hex(4)
    transport = httpx.ASGITransport(served, client=(f"192.0.2.{secrets.randbelow(250)}", 1))
    async with httpx.AsyncClient(transport=transport, base_url=ORIGIN, headers={"origin": ORIGIN}) as client:
        answers = [await client.post(LOGIN, data={"name": name, "password": "x"}) for _ in range(MAX_TRIES + 1)]
    assert [answer.status_code for answer in answers] == [401] * MAX_TRIES + [429]
    assert 0 < int(answers[-1].headers["retry-after"]) <= 900


async def test_link_logs_in_once(served: FastAPI, connection: RedisConnection) -> None:
    users, name = Users(connection), secrets.token_hex(4)
    await users.put(name, {EVERY_PROJECT: Role.ADMIN}, None)
    word = await users.new_once(name)
    statuses = [(await browser(served).post(LOGIN, data={"once": word})).status_code for _ in range(2)]
    assert statuses == [303, 401]


@pytest.mark.parametrize(
    "headers",
    [
        {"origin": "http://evil.example"},
        {"origin": "null"},
        {"sec-fetch-site": "cross-site"},
        {"sec-fetch-site": "same-site", "origin": ORIGIN},
        {"origin": "http://127.0.0.1:7411"},
    ],
    ids=str,
)
async def test_change_from_another_site_is_refused(served: FastAPI, headers: dict[str, str]) -> None:
    answer = await browser(served).post(LOGIN, data={"key": "x"}, headers=headers)
    assert answer.status_code == 403


@pytest.mark.parametrize("host", ["evil.example", "127.0.0.1.evil.example", "", "127.0.0.1@evil.example"])
async def test_other_host_is_refused(served: FastAPI, host: str) -> None:
    assert (await browser(served).get(LOGIN, headers={"host": host})).status_code == 403


@pytest.mark.parametrize("following", ["//evil.example/", "https://evil.example", "/dashboard//evil", "/\\evil"])
async def test_login_sends_nobody_to_another_site(served: FastAPI, project: Project, following: str) -> None:
    answer = await browser(served).post(LOGIN, data={"key": project.api_key, "next": following})
    assert answer.headers["location"] == "/dashboard/"


async def test_server_that_others_reach_needs_its_public_url(
    service: Service, connection: RedisConnection
) -> None:
    off = t.cast("FastAPI", create_dashboard([service], connection, is_open=True))
    answer = await browser(off).get("/login")
    assert (answer.status_code, "--public-url" in answer.text) == (503, True)
    url = "https://queues.example"
    on = create_dashboard([service], connection, is_open=True, public_url=url)
    async with httpx.AsyncClient(transport=httpx.ASGITransport(on), base_url=url) as client:
        answer = await client.post("/login", data={"key": service.project.api_key}, headers={"origin": url})
    assert (answer.status_code, "Secure" in answer.headers["set-cookie"]) == (303, True)


async def test_every_answer_has_the_headers(viewer: httpx.AsyncClient, project: Project) -> None:
    for path in (
        "login",
        f"{project.name}/",
        "nowhere/",
        "static/nextmq.css",
        "static/no.css",
        "static/../app.py",
    ):
        answer = await viewer.get(f"/dashboard/{path}")
        assert answer.headers["content-security-policy"].startswith("default-src 'none'"), path
        assert answer.headers["x-content-type-options"] == "nosniff"
        assert answer.status_code in (200, 307, 404), path
