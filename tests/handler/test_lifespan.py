"""When an ASGI app registers its workers: at start, on /health, and where a delivery shows another fingerprint."""

import asyncio
import json
import logging
import threading
import typing as t
from collections.abc import Iterator
from contextlib import AbstractAsyncContextManager, contextmanager

import httpx
import pytest
import respx
from fastapi import FastAPI
from starlette.types import Message

from nextmq_handler import ConfigurationError, Worker
from nextmq_handler.asgi import NextMQHandler
from nextmq_handler.registration import fingerprint
from nextmq_handler.registration.registrar import Registrar
from nextmq_handler.settings import load_settings
from tests.support.handler import APP_URL, URL, deliver, delivery, make_handler, send

pytestmark = pytest.mark.anyio

OK = httpx.Response(200, json={})
CONFLICT = httpx.Response(409, json={"error": "worker_conflict", "details": {"fields": ["url"]}})
EMAILS = Worker("emails", lambda job: "done")
REPORTS = Worker("reports", lambda job: "done")
SETTINGS = load_settings(url=URL, app_url=APP_URL, environ={})


def make(*workers: Worker) -> NextMQHandler:
    return make_handler(EMAILS, *workers, url=URL, app_url=APP_URL, webhook_secrets=None)


def registrations() -> set[threading.Thread]:
    """Return the threads that are registering workers."""
    return {thread for thread in threading.enumerate() if thread.name == "nextmq-registrar"}


@contextmanager
def background() -> Iterator[None]:
    """Wait until the registrations that were started inside have ended."""
    before = registrations()
    yield
    for thread in registrations() - before:
        thread.join()


async def start_and_stop(lifespan: AbstractAsyncContextManager[object]) -> None:
    """Run a lifespan, and wait for what it started in the background."""
    async with lifespan:
        for thread in registrations():
            await asyncio.to_thread(thread.join)


async def test_a_lifespan_registers_each_worker(server: respx.MockRouter) -> None:
    routes = [server.put(f"/v1/queues/{name}/worker").mock(OK) for name in ("emails", "reports")]
    await start_and_stop(make(REPORTS).lifespan())
    assert [route.call_count for route in routes] == [1, 1]


async def test_a_parents_lifespan_registers_each_worker(server: respx.MockRouter) -> None:
    route = server.put("/v1/queues/emails/worker").mock(OK)
    app = FastAPI(lifespan=make().lifespan)
    await start_and_stop(app.router.lifespan_context(app))
    assert route.call_count == 1


async def lifespan_messages(app: NextMQHandler) -> list[Message]:
    """Return what the app answers a server that starts and stops it."""
    asked: list[Message] = [{"type": "lifespan.startup"}, {"type": "lifespan.shutdown"}]
    answered: list[Message] = []

    async def receive() -> Message:
        return asked.pop(0)

    async def keep(message: t.MutableMapping[str, t.Any]) -> None:
        answered.append(message)

    await app({"type": "lifespan", "state": {}}, receive, keep)
    return answered


async def test_a_server_may_run_the_lifespan_of_the_handler_alone(server: respx.MockRouter) -> None:
    server.put("/v1/queues/emails/worker").mock(OK)
    messages = await lifespan_messages(make())
    assert [message["type"] for message in messages] == ["lifespan.startup.complete", "lifespan.shutdown.complete"]


@pytest.mark.parametrize(
    ("options", "missing"),
    [({}, "NEXTMQ_URL"), ({"app_url": APP_URL}, "NEXTMQ_URL"), ({"url": URL}, "NEXTMQ_APP_URL")],
    ids=["both", "url", "app_url"],
)
async def test_a_lifespan_without_a_setting_does_not_start_and_says_which(
    options: dict[str, t.Any], missing: str
) -> None:
    app = make_handler(EMAILS, webhook_secrets=None, **options)
    with pytest.raises(ConfigurationError, match=rf"\A{missing} is not set"):
        await lifespan_messages(app)


async def test_a_start_does_not_wait_for_the_registration(server: respx.MockRouter) -> None:
    arrived, release = threading.Event(), threading.Event()

    def answer(request: httpx.Request) -> httpx.Response:
        arrived.set()
        release.wait()
        return OK

    server.put("/v1/queues/emails/worker").mock(side_effect=answer)
    async with make().lifespan():
        await asyncio.to_thread(arrived.wait)
        started_before_the_answer = not release.is_set()
        release.set()
    assert started_before_the_answer


async def test_the_end_of_a_lifespan_ends_the_tries(server: respx.MockRouter) -> None:
    arrived = threading.Event()

    def answer(request: httpx.Request) -> httpx.Response:
        arrived.set()
        return httpx.Response(503)

    server.put("/v1/queues/emails/worker").mock(side_effect=answer)
    async with make().lifespan():
        await asyncio.to_thread(arrived.wait)
        [registration] = registrations()
    await asyncio.to_thread(registration.join)
    assert not registrations()


async def test_a_server_that_cannot_be_reached_is_tried_again(server: respx.MockRouter) -> None:
    failures: list[Exception | httpx.Response] = [httpx.ConnectError("refused"), httpx.ReadTimeout("slow"), OK]
    route = server.put("/v1/queues/emails/worker").mock(side_effect=failures)
    await start_and_stop(make().lifespan())
    assert route.call_count == 3


async def test_a_worker_that_cannot_be_registered_holds_up_no_other(server: respx.MockRouter) -> None:
    server.put("/v1/queues/emails/worker").respond(503)
    registered = threading.Event()

    def answer(request: httpx.Request) -> httpx.Response:
        registered.set()
        return OK

    server.put("/v1/queues/reports/worker").mock(side_effect=answer)
    async with make(REPORTS).lifespan():
        assert await asyncio.to_thread(registered.wait, 20)


async def test_a_failure_is_logged_once_however_often_it_is_tried(
    server: respx.MockRouter, caplog: pytest.LogCaptureFixture
) -> None:
    server.put("/v1/queues/emails/worker").mock(side_effect=[httpx.Response(503), httpx.Response(503), OK])
    await start_and_stop(make().lifespan())
    warnings = [message for level, message in levels(caplog) if level >= logging.WARNING]
    assert warnings == [
        "cannot register yet, retrying until it works: "
        "PUT https://queue.example/v1/queues/emails/worker: 503 http_error: "
        "something other than the queue server answered; check the host in NEXTMQ_URL"
    ]


def levels(caplog: pytest.LogCaptureFixture) -> list[tuple[int, str]]:
    return [
        (record.levelno, record.getMessage())
        for record in caplog.records
        if record.name == "nextmq_handler.registration"
    ]


async def test_an_answer_that_is_not_the_servers_is_tried_again(server: respx.MockRouter) -> None:
    route = server.put("/v1/queues/emails/worker").mock(side_effect=[httpx.Response(200, text="<html>"), OK])
    await start_and_stop(make().lifespan())
    assert route.call_count == 2


async def test_a_conflict_is_not_tried_again(server: respx.MockRouter) -> None:
    route = server.put("/v1/queues/emails/worker").mock(CONFLICT)
    # The other worker's second round shows that there was one.
    server.put("/v1/queues/reports/worker").mock(side_effect=[httpx.Response(503), OK])
    await start_and_stop(make(REPORTS).lifespan())
    assert route.call_count == 1


async def test_a_conflict_is_logged_once_at_error(
    server: respx.MockRouter, caplog: pytest.LogCaptureFixture
) -> None:
    server.put("/v1/queues/emails/worker").mock(CONFLICT)
    server.put("/v1/queues/reports/worker").mock(side_effect=[httpx.Response(503), OK])
    await start_and_stop(make(REPORTS).lifespan())
    [error] = [message for level, message in levels(caplog) if level == logging.ERROR]
    assert error.startswith("the server holds another registration for queue emails: url differs. If this app")


async def test_health_registers_again_at_most_once_however_often_it_is_called(server: respx.MockRouter) -> None:
    route = server.put("/v1/queues/emails/worker").mock(OK)
    app = make()
    for _ in range(5):
        with background():
            await send(app, path="/health", method="GET", headers=[])
    assert route.call_count == 1


async def test_a_registration_says_the_settings_url_whatever_host_asked_for_health(
    server: respx.MockRouter,
) -> None:
    route = server.put("/v1/queues/emails/worker").mock(OK)
    headers = [(b"host", b"evil.example"), (b"x-forwarded-host", b"evil.example")]
    with background():
        await send(make(), path="/health", method="GET", headers=headers)
    assert json.loads(route.calls.last.request.content)["url"] == f"{APP_URL}/queues/emails"


@pytest.mark.parametrize(("later", "calls"), [(0.0, 1), (59.9, 1), (60.0, 2), (3600.0, 2)])
async def test_a_registration_is_asserted_again_after_a_minute(
    later: float, calls: int, server: respx.MockRouter
) -> None:
    route = server.put("/v1/queues/emails/worker").mock(OK)
    now = [1000.0]
    registrar = Registrar([EMAILS], lambda: SETTINGS, monotonic=lambda: now[0])
    with background():
        registrar.reassert()
    now[0] += later
    with background():
        registrar.reassert()
    assert route.call_count == calls


async def test_health_without_settings_answers_and_the_log_says_which_is_missing(
    caplog: pytest.LogCaptureFixture,
) -> None:
    app = make_handler(EMAILS, webhook_secrets=None)
    with background():
        answer = await send(app, path="/health", method="GET", headers=[])
    [(level, message)] = levels(caplog)
    assert (answer.status, level) == (200, logging.ERROR)
    assert message.startswith("cannot register the workers, so no job will arrive: NEXTMQ_URL is not set")


CURRENT = fingerprint(EMAILS, SETTINGS)


@pytest.mark.parametrize(("word", "calls"), [(CURRENT, 0), ("another", 1), ("", 1)])
async def test_a_delivery_registers_again_where_its_fingerprint_differs(
    word: str, calls: int, server: respx.MockRouter
) -> None:
    route = server.put("/v1/queues/emails/worker").mock(OK)
    with background():
        await deliver(make(), delivery(worker={"fingerprint": word}))
    assert route.call_count == calls


async def test_a_registration_that_fails_does_not_change_the_outcome(server: respx.MockRouter) -> None:
    server.put("/v1/queues/emails/worker").mock(CONFLICT)
    with background():
        outcome = await deliver(make(), delivery(worker={"fingerprint": "another"}))
    assert outcome == {"outcome": "completed", "returnValue": "done", "worker": {"fingerprint": CURRENT}}


async def test_a_delivery_to_an_app_without_a_url_registers_nothing(server: respx.MockRouter) -> None:
    with background():
        await deliver(make_handler(EMAILS), delivery(worker={"fingerprint": "another"}))
    assert len(server.calls) == 0


async def test_a_forged_delivery_registers_nothing(server: respx.MockRouter) -> None:
    with background():
        await send(make(), b"{}", headers=[(b"content-type", b"application/json")])
    assert len(server.calls) == 0
