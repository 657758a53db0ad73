"""Dead letters of apps: registered over the API, delivered by HTTP."""

from __future__ import annotations

import typing as t

import httpx
import pytest
from aiohttp import web

from nextmq_server.projects.projects import Project
from nextmq_server.service import Service
from tests.support.api import JOBS, WORKER, refusal, registration

if t.TYPE_CHECKING:
    from ..conftest import App, Serve, WaitUntil

pytestmark = pytest.mark.anyio

Register = t.Callable[..., t.Awaitable[httpx.Response]]

DLQ = "emails-dlq"


@pytest.fixture
async def register(api: httpx.AsyncClient, project: Project) -> Register:
    async def register(dead_letter: str | None, path: str = WORKER, **changes: t.Any) -> httpx.Response:
        options = {"deadLetter": dead_letter}
        return await api.put(path, json=registration(project, options=options, **changes))

    return register


@pytest.mark.parametrize("status", [200, 400, 500])
async def test_a_letter_says_which_status_the_app_answered(
    api: httpx.AsyncClient, service: Service, register: Register, serve: Serve, wait_until: WaitUntil, status: int
) -> None:
    async def answer(request: web.Request) -> web.Response:
        return web.Response(status=status)

    await register(DLQ, url=await serve(answer) + "/queues/emails")
    await api.post(JOBS, json={"name": "welcome"})

    async def is_there() -> bool:
        return bool((await service.queues.counts(DLQ))["waiting"])

    await wait_until(is_there)
    [letter] = (await api.get(f"/v1/queues/{DLQ}/jobs")).json()["jobs"]
    assert letter["data"]["status"] == status


async def queue_names(api: httpx.AsyncClient) -> list[str]:
    return [queue["name"] for queue in (await api.get("/v1/queues")).json()["queues"]]


async def test_the_dead_letter_queue_is_one_of_the_projects_queues(
    api: httpx.AsyncClient, register: Register
) -> None:
    await register(DLQ)
    assert await queue_names(api) == ["emails", DLQ]


async def test_the_dead_letter_queue_stays_one_when_its_worker_is_gone(
    api: httpx.AsyncClient, register: Register
) -> None:
    await register(DLQ)
    await api.delete(WORKER)
    assert await queue_names(api) == [DLQ]


async def test_an_obliterated_dead_letter_queue_is_there_for_the_next_letter(
    api: httpx.AsyncClient, register: Register
) -> None:
    await register(DLQ)
    await api.post(f"/v1/queues/{DLQ}/obliterate", json={})
    assert DLQ in await queue_names(api)


async def test_a_queue_cannot_be_its_own_dead_letter_queue(register: Register) -> None:
    assert refusal(await register("emails")) == (422, "invalid_request")


async def test_dead_letters_cannot_come_back_over_another_queue(register: Register) -> None:
    await register(DLQ)
    await register("lost", f"/v1/queues/{DLQ}/worker")
    assert refusal(await register("emails", "/v1/queues/lost/worker")) == (422, "invalid_request")


async def test_dead_letters_of_dead_letters_may_go_on(register: Register) -> None:
    await register(DLQ)
    assert (await register("lost", f"/v1/queues/{DLQ}/worker")).status_code == 200


async def test_a_newer_version_may_name_another_dead_letter_queue(register: Register) -> None:
    await register(DLQ)
    answer = await register("lost", fingerprint="f2")
    assert answer.json()["options"]["deadLetter"] == "lost"


async def test_a_failure_of_the_app_ends_in_the_dead_letter_queue(
    api: httpx.AsyncClient, service: Service, app: App, register: Register, wait_until: WaitUntil
) -> None:
    app.outcome = {"outcome": "failed", "error": {"name": "ValueError", "message": "no", "stack": ""}}
    await register(DLQ, url=app.url)
    await api.post(JOBS, json={"name": "welcome", "data": {"to": 1}})

    async def is_there() -> bool:
        return bool((await service.queues.counts(DLQ))["waiting"])

    await wait_until(is_there)
    [letter] = (await api.get(f"/v1/queues/{DLQ}/jobs")).json()["jobs"]
    assert (letter["data"]["reason"], letter["data"]["data"]) == ("ValueError: no", {"to": 1})
