"""An ASGI app whose lifespan nobody runs: `check()` says it, the first delivery and the first add do."""

import asyncio
import contextlib
import threading
import typing as t
import weakref
from collections.abc import AsyncGenerator, Callable, Iterator
from contextlib import asynccontextmanager

import anyio.to_thread
import httpx
import pytest
import respx
from fastapi import FastAPI
from litestar import Litestar, asgi
from mangum import Mangum
from starlette.applications import Starlette
from starlette.routing import Mount
from starlette.types import ASGIApp

from nextmq_handler import AsyncFlowProducer, AsyncQueue, FlowProducer, NextMQError, Queue, Worker, _notices
from nextmq_handler.asgi import NextMQHandler
from nextmq_handler.receiver.checks import LIFESPAN
from nextmq_handler.testing import LocalNextMQ
from tests.support.handler import APP_URL, URL, deliver, delivery, encode, make_handler, send, signed

pytestmark = pytest.mark.anyio

PATH = "/api/nextmq/queues/emails"
OK = httpx.Response(200, json={})


@pytest.fixture
def anyio_backend() -> str:
    return "asyncio"


@pytest.fixture
def handler(server: respx.MockRouter, monkeypatch: pytest.MonkeyPatch) -> Iterator[NextMQHandler]:
    """Return the only handler of this process that waits for a lifespan."""
    monkeypatch.setattr(_notices, "_listeners", weakref.WeakSet())
    server.put("/v1/queues/emails/worker").mock(OK)
    server.post("/v1/queues/emails/jobs").respond(503)
    server.post("/v1/queues/emails/jobs/bulk").respond(503)
    server.post("/v1/flows").respond(503)
    yield make_handler(Worker("emails", lambda job: "done"), url=URL, app_url=APP_URL, webhook_secrets=None)
    for thread in threading.enumerate():
        if thread.name == "nextmq-registrar":
            thread.join()


def fastapi(handler: NextMQHandler) -> ASGIApp:
    app = FastAPI()
    app.mount("/api/nextmq", handler)
    return app


def fastapi_with_another_lifespan(handler: NextMQHandler) -> ASGIApp:
    @asynccontextmanager
    async def lifespan(app: FastAPI) -> AsyncGenerator[None]:
        yield

    app = FastAPI(lifespan=lifespan)
    app.mount("/api/nextmq", handler)
    return app


def fastapi_in_fastapi(handler: NextMQHandler) -> ASGIApp:
    inner, outer = FastAPI(lifespan=handler.lifespan), FastAPI()
    inner.mount("/nextmq", handler)
    outer.mount("/api", inner)
    return outer


def starlette(handler: NextMQHandler) -> ASGIApp:
    return Starlette(routes=[Mount("/api/nextmq", handler)])


def litestar(handler: NextMQHandler) -> ASGIApp:
    mounted = asgi("/api/nextmq", is_mount=True, copy_scope=True)(handler)
    return t.cast("ASGIApp", Litestar([mounted], logging_config=None))


APPS: dict[str, Callable[[NextMQHandler], ASGIApp]] = {
    "FastAPI": fastapi,
    "FastAPI with another lifespan": fastapi_with_another_lifespan,
    "FastAPI in FastAPI": fastapi_in_fastapi,
    "Starlette": starlette,
    "Litestar": litestar,
}


async def run_lifespan(app: ASGIApp) -> None:
    """Start and stop an app, as a server does."""
    asked: list[dict[str, t.Any]] = [{"type": "lifespan.startup"}, {"type": "lifespan.shutdown"}]

    async def receive() -> dict[str, t.Any]:
        return asked.pop(0)

    async def ignore(message: t.MutableMapping[str, t.Any]) -> None:
        pass

    await app({"type": "lifespan", "asgi": {"version": "3.0"}, "state": {}, "app": app}, receive, ignore)


def said(caplog: pytest.LogCaptureFixture) -> int:
    return caplog.messages.count(LIFESPAN)


@pytest.mark.parametrize("app", APPS)
async def test_a_first_delivery_says_that_nobody_ran_the_lifespan(
    app: str, handler: NextMQHandler, caplog: pytest.LogCaptureFixture
) -> None:
    served = APPS[app](handler)
    await run_lifespan(served)
    body = encode(delivery())
    for _ in range(2):
        assert (await send_through(served, body)) == 200
    assert (said(caplog), handler.check()) == (1, [LIFESPAN])


async def send_through(app: ASGIApp, body: bytes) -> int:
    answer = await send(app, body, path=PATH, raw_path=PATH.encode(), query_string=b"")
    return answer.status


def test_a_function_whose_adapter_runs_no_lifespan_says_it_too(
    handler: NextMQHandler, caplog: pytest.LogCaptureFixture
) -> None:
    body = encode(delivery())
    headers = {name.decode(): value.decode() for name, value in signed(body)}
    event = {
        "version": "2.0",
        "rawPath": "/queues/emails",
        "rawQueryString": "",
        "headers": headers,
        "requestContext": {"http": {"method": "POST", "path": "/queues/emails", "sourceIp": "192.0.2.1"}},
        "body": body.decode(),
        "isBase64Encoded": False,
    }
    with contextlib.closing(asyncio.new_event_loop()) as loop:
        asyncio.set_event_loop(loop)  # Mangum takes the one that is set, and would leave its own open
        answer = Mangum(handler, lifespan="off")(event, t.cast("t.Any", None))
        asyncio.set_event_loop(None)
    assert (answer["statusCode"], said(caplog)) == (200, 1)


Add = Callable[[], t.Any]
ASYNC_ADDS: dict[str, Add] = {
    "add": lambda: AsyncQueue("emails", url=URL, timeout=0.01).add("welcome"),
    "add_bulk": lambda: AsyncQueue("emails", url=URL, timeout=0.01).add_bulk([{"name": "welcome"}]),
    "a flow": lambda: AsyncFlowProducer(url=URL, timeout=0.01).add({"name": "welcome", "queue_name": "emails"}),
}
ADDS: dict[str, Add] = {
    "add": lambda: Queue("emails", url=URL, timeout=0.01).add("welcome"),
    "add_bulk": lambda: Queue("emails", url=URL, timeout=0.01).add_bulk([{"name": "welcome"}]),
    "a flow": lambda: FlowProducer(url=URL, timeout=0.01).add({"name": "welcome", "queue_name": "emails"}),
}


async def ignoring(awaitable: t.Awaitable[object]) -> None:
    with contextlib.suppress(NextMQError):  # the server of these tests is away
        await awaitable


def ignoring_sync(add: Add) -> None:
    with contextlib.suppress(NextMQError):
        add()


@pytest.mark.parametrize("add", ASYNC_ADDS)
async def test_an_awaited_add_says_it(add: str, handler: NextMQHandler, caplog: pytest.LogCaptureFixture) -> None:
    for _ in range(2):
        await ignoring(ASYNC_ADDS[add]())
    assert (said(caplog), handler.check()) == (1, [LIFESPAN])


@pytest.mark.parametrize("add", ADDS)
async def test_an_add_in_a_thread_of_the_app_says_it(
    add: str, handler: NextMQHandler, caplog: pytest.LogCaptureFixture
) -> None:
    await anyio.to_thread.run_sync(ignoring_sync, ADDS[add])
    assert (said(caplog), handler.check()) == (1, [LIFESPAN])


@pytest.mark.parametrize("add", ADDS)
def test_an_add_of_a_script_says_nothing(
    add: str, handler: NextMQHandler, caplog: pytest.LogCaptureFixture
) -> None:
    ignoring_sync(ADDS[add])
    assert (said(caplog), handler.check()) == (0, [])


async def test_a_check_in_an_app_that_serves_says_it(handler: NextMQHandler) -> None:
    assert [handler.check(), await anyio.to_thread.run_sync(handler.check)] == [[LIFESPAN], [LIFESPAN]]


def test_a_check_before_the_app_serves_does_not(handler: NextMQHandler) -> None:
    assert handler.check() == []


async def test_an_app_whose_lifespan_ran_says_nothing(
    handler: NextMQHandler, caplog: pytest.LogCaptureFixture
) -> None:
    async with handler.lifespan():
        await deliver(handler)
        await ignoring(ASYNC_ADDS["add"]())
        assert (said(caplog), handler.check()) == (0, [])


async def test_a_forged_delivery_says_nothing(handler: NextMQHandler, caplog: pytest.LogCaptureFixture) -> None:
    await send(handler, b"{}")
    assert said(caplog) == 0


def test_a_test_of_the_app_says_nothing(handler: NextMQHandler, caplog: pytest.LogCaptureFixture) -> None:
    with LocalNextMQ(handler.workers) as nextmq:
        asyncio.run(ignoring(AsyncQueue("emails").add("welcome")))
        nextmq.run_all()
    assert said(caplog) == 0
