"""Who may call the REST API, and the shape of the answers where nothing was asked of it."""

from __future__ import annotations

import base64
import typing as t

import httpx
import pytest

from nextmq_server.api.http.bodies import MAX_BODY_SIZE
from nextmq_server.front.front import Front
from nextmq_server.projects.projects import Project, new_project
from nextmq_server.service import Service
from tests.support.api import COUNTS, JOBS, WORKER, refusal, registration
from tests.support.rest_api import documented, rest_api
from tests.support.serving import serving

pytestmark = pytest.mark.anyio

UNAUTHORIZED = (401, "unauthorized")


def _routes() -> list[tuple[str, str]]:
    """Return method and path of every documented route, except the probes."""
    paths = documented()["paths"]
    return [
        (method.upper(), path.format(queue="emails", id="1", state="completed"))
        for path, operations in paths.items()
        for method in operations
        if path not in ("/healthz", "/readyz")
    ]


ROUTES = _routes()

CREDENTIALS: dict[str, t.Callable[[str], str | bytes]] = {
    "empty": lambda key: "",
    "a scheme without a key": lambda key: "Bearer",
    "an empty key": lambda key: "Bearer ",
    "another key": lambda key: f"Bearer {new_project('other').api_key}",
    "a part of the key": lambda key: f"Bearer {key[:-1]}",
    "more than the key": lambda key: f"Bearer {key}0",
    "the key twice": lambda key: f"Bearer {key} {key}",
    "the key in capitals": lambda key: f"Bearer {key.upper()}",
    "the key without a scheme": lambda key: key,
    "another scheme": lambda key: f"Token {key}",
    "basic authentication": lambda key: f"Basic {base64.b64encode(f'{key}:'.encode()).decode()}",
    "bytes that are no text": lambda key: b"Bearer \xff\xfe" + key.encode(),
    "a very long key": lambda key: f"Bearer {key * 1000}",
}


@pytest.fixture
async def anyone(service: Service) -> t.AsyncIterator[httpx.AsyncClient]:
    """Call the service's REST API without a key."""
    transport = httpx.ASGITransport(rest_api(service))
    async with httpx.AsyncClient(transport=transport, base_url="http://server.example") as client:
        yield client


async def answers(client: httpx.AsyncClient, headers: dict[str, str | bytes]) -> dict[tuple[str, str], object]:
    """Return how each route refuses the call."""
    sent = t.cast("dict[str, str]", headers)
    return {(method, path): refusal(await client.request(method, path, headers=sent)) for method, path in ROUTES}


async def test_the_api_describes_the_routes_that_these_tests_call() -> None:
    assert {("PUT", WORKER), ("POST", JOBS), ("GET", COUNTS), ("PUT", f"{JOBS}/1/progress")} <= set(ROUTES)


async def test_without_a_key_every_route_answers_401(anyone: httpx.AsyncClient) -> None:
    assert await answers(anyone, {}) == dict.fromkeys(ROUTES, UNAUTHORIZED)


@pytest.mark.parametrize("credentials", CREDENTIALS.values(), ids=CREDENTIALS)
async def test_without_the_right_key_every_route_answers_401(
    anyone: httpx.AsyncClient, project: Project, credentials: t.Callable[[str], str | bytes]
) -> None:
    headers = {"authorization": credentials(project.api_key)}
    assert await answers(anyone, headers) == dict.fromkeys(ROUTES, UNAUTHORIZED)


async def test_with_the_right_key_no_route_answers_401(api: httpx.AsyncClient) -> None:
    # But for the stream of events, whose answer has no end.
    routes = [route for route in ROUTES if not route[1].endswith("/events")]
    statuses = {route: (await api.request(*route)).status_code for route in routes}
    assert 401 not in statuses.values()


async def test_the_scheme_may_be_spelled_in_any_case(anyone: httpx.AsyncClient, project: Project) -> None:
    answer = await anyone.get(COUNTS, headers={"authorization": f"bEARER {project.api_key}"})
    assert answer.status_code == 200


async def test_a_401_names_the_scheme_to_use(anyone: httpx.AsyncClient) -> None:
    assert (await anyone.get(COUNTS)).headers["www-authenticate"] == "Bearer"


@pytest.mark.parametrize(
    ("headers", "text"),
    [
        ({}, "send the API key"),
        ({"authorization": ""}, "send the API key"),
        ({"authorization": "Basic YTpi"}, "send the API key"),
        ({"authorization": "Bearer nmq_other"}, "no project of this server has the API key that was sent"),
    ],
)
async def test_a_401_tells_a_wrong_key_from_a_missing_one(
    anyone: httpx.AsyncClient, headers: dict[str, str], text: str
) -> None:
    assert (await anyone.get(COUNTS, headers=headers)).json()["message"].startswith(text)


async def test_a_401_is_logged_with_the_address_and_without_the_key(
    service: Service, caplog: pytest.LogCaptureFixture
) -> None:
    async with serving(service) as client:
        for _ in range(3):
            await client.get(COUNTS, headers={"authorization": "Bearer almost-the-key"})
            await client.get(COUNTS, headers={"authorization": ""})
    logged = [record.getMessage() for record in caplog.records if record.name == "nextmq_server.front"]
    assert logged == [f"a caller at 127.0.0.1 {what}" for what in ("sent a wrong API key", "sent no API key")]


async def test_a_right_key_makes_the_connection_known(service: Service) -> None:
    front = Front()
    async with serving(service, front=front) as client:
        await client.get("/healthz")
        unknown = len(front._unknown)
        await client.get(COUNTS)
        assert (unknown, len(front._unknown)) == (1, 0)


async def test_a_401_does_not_repeat_the_key_that_was_sent(anyone: httpx.AsyncClient) -> None:
    answer = await anyone.get(COUNTS, headers={"authorization": "Bearer almost-the-key"})
    assert "almost-the-key" not in answer.text


@pytest.mark.parametrize(
    ("path", "content"),
    [(JOBS, b"{"), (JOBS, b"x" * (MAX_BODY_SIZE + 1)), ("/v1/queues/a:b/jobs", b"{}"), (JOBS, b"{}")],
    ids=["no JSON", "too large", "a bad queue name", "no job"],
)
async def test_without_a_key_nothing_else_of_a_request_is_judged(
    anyone: httpx.AsyncClient, path: str, content: bytes
) -> None:
    answer = await anyone.post(path, content=content, headers={"content-type": "application/json"})
    assert refusal(answer) == UNAUTHORIZED


async def test_without_a_key_no_job_is_added(anyone: httpx.AsyncClient, api: httpx.AsyncClient) -> None:
    await anyone.post(JOBS, json={"name": "welcome"})
    assert set((await api.get(COUNTS)).json().values()) == {0}


async def test_without_a_key_no_worker_is_registered(
    anyone: httpx.AsyncClient, api: httpx.AsyncClient, project: Project
) -> None:
    await anyone.put(WORKER, json=registration(project))
    assert refusal(await api.get(WORKER)) == (404, "not_found")


@pytest.mark.parametrize("path", ["/healthz", "/readyz"])
async def test_probes_need_no_key(anyone: httpx.AsyncClient, path: str) -> None:
    answer = await anyone.get(path)
    assert (answer.status_code, answer.json()) == (200, {"status": "ok"})


@pytest.mark.parametrize(
    "path", ["/", "/v1", "/v1/jobs", "/v1/queues/emails/nothing", "/v2/queues/emails/counts", "/healthz/more"]
)
async def test_an_unknown_path_answers_404_no_such_route(anyone: httpx.AsyncClient, path: str) -> None:
    assert refusal(await anyone.get(path)) == (404, "no_such_route")


@pytest.mark.parametrize(
    ("method", "path"),
    [("DELETE", JOBS), ("POST", f"{JOBS}/1"), ("POST", WORKER), ("PUT", COUNTS), ("POST", "/healthz")],
)
async def test_a_wrong_method_answers_405(anyone: httpx.AsyncClient, method: str, path: str) -> None:
    assert refusal(await anyone.request(method, path)) == (405, "method_not_allowed")


async def test_a_405_names_the_methods_that_are_allowed(anyone: httpx.AsyncClient) -> None:
    assert (await anyone.put(COUNTS)).headers["allow"] == "GET"
