"""The description of the API: who gets it. The hosts that `nextmq dev` answers to."""

from __future__ import annotations

import typing as t

import httpx
import pytest

from nextmq_server.front.hosts import LOOPBACK_NAMES
from nextmq_server.projects.projects import Project
from nextmq_server.service import Service
from tests.support.api import refusal
from tests.support.rest_api import rest_api

pytestmark = pytest.mark.anyio

OWN = {*LOOPBACK_NAMES, "dev.example", "192.0.2.1"}

KNOWN = [
    *("localhost", "localhost:7410", "LOCALHOST:80", "127.0.0.1", "127.0.0.1:7410", "[::1]", "[::1]:7410"),
    *("dev.example", "Dev.Example:443", "192.0.2.1", "192.0.2.1:1"),
]

UNKNOWN = [
    *("evil.example", "evil.example:7410", "localhost.evil.example", "evil-localhost", "localhost@evil.example"),
    *("127.0.0.1.evil.example", "127.0.0.2", "192.0.2.2", "[::2]", "[::1", "::1", "localhost.", "0.0.0.0", "a b"),
    *("dev.example.evil.example", "xdev.example", "[::ffff:127.0.0.1]", "2130706433", "http://localhost", "*"),
    *("", "[::1]evil.example", "localhost:evil.example", "localhost:80:80", "[]", ":80"),
]


def calling(app: t.Any, **headers: str) -> httpx.AsyncClient:
    """Return a client of the app."""
    return httpx.AsyncClient(transport=httpx.ASGITransport(app), base_url="http://localhost", headers=headers)


@pytest.mark.parametrize(
    "path", ["/docs", "/redoc", "/openapi.json", "/docs/oauth2-redirect", "/docs/", "/redoc/"]
)
async def test_a_server_shows_its_description_to_nobody_without_a_key(service: Service, path: str) -> None:
    async with calling(rest_api(service)) as client:
        assert (await client.get(path)).status_code in (401, 404, 307)


async def test_with_a_key_a_server_gives_its_description(service: Service, project: Project) -> None:
    async with calling(rest_api(service), authorization=f"Bearer {project.api_key}") as client:
        assert "/v1/project" in (await client.get("/openapi.json")).raise_for_status().json()["paths"]


async def test_the_page_with_the_routes_loads_nothing(service: Service) -> None:
    async with calling(rest_api(service, has_docs_page=True)) as client:
        page = await client.get("/docs")
    assert page.status_code == 200
    assert page.headers["content-security-policy"].startswith("default-src 'none'")
    assert not [word for word in ("<script", "http:", "https:", "src=", "@import") if word in page.text]


async def test_the_page_with_the_routes_has_each_of_them(service: Service) -> None:
    app = rest_api(service, has_docs_page=True)
    async with calling(app) as client:
        page = (await client.get("/docs")).text
    assert not [path for path in app.openapi()["paths"] if f"<code>{path}</code>" not in page]


@pytest.mark.parametrize("host", KNOWN)
async def test_a_known_host_is_answered(service: Service, host: str) -> None:
    async with calling(rest_api(service, hosts=OWN), host=host) as client:
        assert (await client.get("/healthz")).status_code == 200


@pytest.mark.parametrize("path", ["/healthz", "/docs", "/v1/project"])
@pytest.mark.parametrize("host", UNKNOWN)
async def test_another_host_is_refused_with_the_fix(service: Service, host: str, path: str) -> None:
    app = rest_api(service, hosts=OWN, has_docs_page=True)
    async with calling(app, host=host) as client:
        answer = await client.get(path)
    assert refusal(answer) == (421, "unknown_host")
    assert "--url" in answer.json()["message"]


async def test_two_hosts_are_refused(service: Service) -> None:
    async with calling(rest_api(service, hosts=OWN)) as client:
        answer = await client.get("/healthz", headers=[("host", "localhost"), ("host", "localhost")])
    assert refusal(answer) == (421, "unknown_host")
