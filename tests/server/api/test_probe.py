"""POST /v1/queues/{queue}/worker/probe: what is wrong with an endpoint, and what to do about it."""

from __future__ import annotations

import asyncio
import typing as t
from email.utils import formatdate

import httpx
import pytest
from aiohttp import web

from nextmq_handler import Worker, create_nextmq_handler
from nextmq_handler.protocol.messages import Headers
from nextmq_handler.protocol.signing import generate_secret
from nextmq_server.dispatch.http.answers import AppAnswer, NoAnswer
from nextmq_server.dispatch.probe import conclude
from nextmq_server.front import bounds
from nextmq_server.projects.projects import Project
from tests.server.conftest import App, Serve, WaitUntil
from tests.support.api import JOBS, WORKER, refusal, registration, send

pytestmark = pytest.mark.anyio

PROBE = f"{WORKER}/probe"
NOW = 1_790_000_000.0


async def probe(api: httpx.AsyncClient, project: Project, url: str) -> dict[str, t.Any]:
    """Return what a probe of a worker at `url` finds."""
    answer = await send(api, "PUT", WORKER, registration(project, url=url, deploy=True))
    assert answer.status_code == 200, answer.text
    found: dict[str, t.Any] = (await api.post(PROBE)).json()
    return found


def app_with(secret: str) -> t.Callable[[web.Request], t.Awaitable[web.Response]]:
    """Return an app that mounts the real handler at /api/nextmq, with this webhook secret."""
    handler = create_nextmq_handler([Worker("emails", lambda _job: None)], webhook_secrets=secret)

    async def answer(request: web.Request) -> web.Response:
        path = request.path.removeprefix("/api/nextmq")
        if path == request.path:
            return web.json_response({"detail": "Not Found"}, status=404)
        async with httpx.AsyncClient(transport=httpx.ASGITransport(handler), base_url="http://app") as client:
            got = await client.post(path, content=await request.read(), headers=request.headers)
        return web.Response(status=got.status_code, body=got.content, content_type="application/json")

    return answer


async def test_a_handler_with_the_right_secret_is_reached(
    api: httpx.AsyncClient, project: Project, serve: Serve
) -> None:
    url = await serve(app_with(project.webhook_secrets[0])) + "/api/nextmq/queues/emails"
    found = await probe(api, project, url)
    assert {**found, "ms": 0} == {
        "reached": True,
        "verdict": "reached",
        "url": url,
        "status": 400,
        "ms": 0,
        "detail": "the handler verified the signature",
        "fix": "",
    }


async def test_a_handler_with_another_secret_is_told_from_one_at_another_path(
    api: httpx.AsyncClient, project: Project, serve: Serve
) -> None:
    app = await serve(app_with(generate_secret()))
    paths = ("/api/nextmq/queues/emails", "/queues/emails", "/api/nextmq/emails")
    seen = [(await probe(api, project, app + path))["verdict"] for path in paths]
    assert seen == ["wrong_secret", "wrong_path", "wrong_path"]


async def test_an_app_that_does_not_run_is_not_reached(api: httpx.AsyncClient, project: Project) -> None:
    found = await probe(api, project, "http://127.0.0.1:9/queues/emails")
    assert (found["verdict"], found["status"]) == ("unreachable", None)
    assert "cannot connect to 127.0.0.1, port 9" in found["detail"]


async def test_no_redirect_is_followed(api: httpx.AsyncClient, project: Project, serve: Serve) -> None:
    reached = list[str]()

    async def redirect(request: web.Request) -> web.Response:
        reached.append(request.path)
        return web.Response(status=307, headers={"location": "/elsewhere"})

    found = await probe(api, project, await serve(redirect) + "/queues/emails")
    assert (found["verdict"], reached) == ("not_a_handler", ["/queues/emails"])


async def test_a_probe_runs_no_processor_and_changes_no_hold(
    api: httpx.AsyncClient, app: App, project: Project
) -> None:
    await api.post("/v1/queues/emails/pause")
    await api.post(JOBS, json={"name": "welcome"})
    before = (await probe(api, project, app.url), (await api.get("/v1/queues/emails")).json()["hold"])
    for _ in range(5):
        await api.post(PROBE)
    queue = (await api.get("/v1/queues/emails")).json()
    assert (queue["hold"], queue["counts"]["waiting"]) == (before[1], 1)


async def test_a_queue_without_a_worker_has_nothing_to_probe(api: httpx.AsyncClient) -> None:
    assert refusal(await api.post(PROBE)) == (404, "not_found")


async def test_a_project_has_two_probes_at_a_time(
    api: httpx.AsyncClient, project: Project, serve: Serve, wait_until: WaitUntil
) -> None:
    arrived, go_on = list[str](), asyncio.Event()

    async def wait(request: web.Request) -> web.Response:
        arrived.append(request.path)
        await go_on.wait()
        return web.json_response({"error": "invalid_body"}, status=400)

    await send(api, "PUT", WORKER, registration(project, url=await serve(wait) + "/queues/emails"))
    open_ones = [asyncio.create_task(api.post(PROBE)) for _ in range(bounds.MAX_PROBES)]
    await wait_until(lambda: len(arrived) == bounds.MAX_PROBES)
    refused = await api.post(PROBE)
    go_on.set()
    answers = [(await task).json()["verdict"] for task in open_ones]
    assert (refusal(refused), answers) == ((429, "too_many_probes"), ["reached"] * bounds.MAX_PROBES)
    assert (await api.post(PROBE)).json()["reached"]


def answered(status: int, body: bytes = b"", *headers: tuple[bytes, bytes]) -> AppAnswer:
    return AppAnswer(status, Headers(list(headers)), body, is_truncated=False, elapsed=0.01)


def dated(seconds: float) -> tuple[bytes, bytes]:
    return (b"date", formatdate(NOW + seconds, usegmt=True).encode())


REFUSED = b'{"error":"unauthorized"}'
CONCLUSIONS: dict[str, tuple[AppAnswer | NoAnswer, str, str]] = {
    "a clock that is late": (answered(401, REFUSED, dated(-720)), "wrong_secret", "720 s behind"),
    "a clock that is early": (answered(401, REFUSED, dated(720)), "wrong_secret", "720 s ahead of"),
    "a clock that is right": (answered(401, REFUSED, dated(20)), "wrong_secret", "another webhook secret"),
    "a date that is none": (answered(401, REFUSED, (b"date", b"soon")), "wrong_secret", "another webhook secret"),
    "a login before the handler": (answered(401, b"log in"), "refused", "401: log in"),
    "a firewall": (answered(403, b"<h1>Forbidden</h1>"), "refused", "403: <h1>Forbidden</h1>"),
    "a body that was changed": (answered(413, REFUSED), "refused", "the handler answered 413"),
    "a platform that throttles": (answered(429), "refused", "429"),
    "an app that fails": (answered(500, b"boom"), "refused", "500: boom"),
    "an endpoint that is gone": (answered(410), "refused", "410"),
    "a 400 of something else": (
        answered(400, b"plain HTTP at an HTTPS port"),
        "not_a_handler",
        "400: plain",
    ),
    "another page": (answered(200, b"<html>\nWelcome"), "not_a_handler", "200: <html> Welcome"),
    "json that is no refusal": (answered(400, b'{"error": 1}'), "not_a_handler", "400"),
    "json that is deep": (answered(400, b"[" * 5000), "not_a_handler", "400"),
    "no answer": (NoAnswer("timeout", "no whole answer within 5 s"), "unreachable", "within 5 s"),
    "no HTTP": (NoAnswer("broken", "the answer is not HTTP"), "not_a_handler", "not HTTP"),
    "no file descriptor": (NoAnswer("unsendable", "no socket"), "unreachable", "no socket"),
}


@pytest.mark.parametrize(("answer", "verdict", "detail"), CONCLUSIONS.values(), ids=CONCLUSIONS)
def test_each_answer_has_a_verdict_and_a_fix(answer: AppAnswer | NoAnswer, verdict: str, detail: str) -> None:
    found = conclude(answer, NOW)
    assert (found.verdict, detail in found.detail, bool(found.fix)) == (verdict, True, True), found
