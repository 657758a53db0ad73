"""Registrations and job calls that fail, in every way a server or network can make them: no canary appears."""

from __future__ import annotations

import asyncio
import contextlib
import dataclasses
import typing as t
from collections.abc import Awaitable, Callable, Iterator

import pytest
from anyio.from_thread import BlockingPortal
from flask import Flask

from nextmq_adapters.aws_lambda import lambda_handler
from nextmq_adapters.flask import nextmq_blueprint
from nextmq_handler import (
    AsyncJob,
    AsyncQueue,
    Job,
    NextMQConnectionError,
    NextMQError,
    Queue,
    Worker,
    aensure_workers_registered,
    aunregister_workers,
    create_nextmq_handler,
    ensure_workers_registered,
    unregister_workers,
)
from nextmq_handler.client._http.pools import close_async_http_client
from nextmq_handler.registration import registrations

from .canary import Ear, connection_string, leaks, text_of, text_of_error
from .integrations.asgi import ASGIIntegration
from .integrations.aws_lambda import Context, function_url, read_single
from .integrations.integration import Answer, HeaderList, Integration
from .integrations.wsgi import WSGIIntegration
from .registry_server import FAILURES, RegistryServer, Reply
from .setups import NOW
from .support import delivery, encode, signed

REFUSED = "127.0.0.1:1"
"""Nobody listens there."""


@pytest.fixture
def registry() -> Iterator[RegistryServer]:
    server = RegistryServer()
    yield server
    server.stop()


def _worker() -> Worker:
    worker = Worker("work")

    @worker.processor("def")
    def progress(job: Job[t.Any]) -> None:
        job.update_progress(50)

    @worker.processor("async def")
    async def async_progress(job: AsyncJob[t.Any]) -> None:
        await job.update_progress(50)

    return worker


@dataclasses.dataclass
class _Lambda:
    handler: t.Any

    def send(self, method: str, target: str, headers: HeaderList, body: bytes, *, stalls: bool = False) -> Answer:
        return read_single(self.handler(function_url(method, target, headers, body), Context()))


@contextlib.contextmanager
def _asgi(portal: BlockingPortal, options: dict[str, t.Any]) -> Iterator[Integration]:
    handler = create_nextmq_handler([_worker()], **options)
    with portal.wrap_async_context_manager(handler.lifespan()):
        yield ASGIIntegration(handler, portal)


@contextlib.contextmanager
def _flask(portal: BlockingPortal, options: dict[str, t.Any]) -> Iterator[Integration]:
    app = Flask(__name__)
    app.register_blueprint(nextmq_blueprint([_worker()], **options))
    yield WSGIIntegration(app)


@contextlib.contextmanager
def _lambda(portal: BlockingPortal, options: dict[str, t.Any]) -> Iterator[Integration]:
    yield _Lambda(lambda_handler([_worker()], **options))


every_integration = pytest.mark.parametrize("start", [_asgi, _flask, _lambda], ids=["ASGI", "Flask", "Lambda"])
every_failure = pytest.mark.parametrize("failure", FAILURES.values(), ids=FAILURES)
Start = Callable[[BlockingPortal, dict[str, t.Any]], contextlib.AbstractContextManager[Integration]]


def _options(host: str) -> dict[str, t.Any]:
    return {"url": connection_string(host), "app_url": "http://127.0.0.1:8000", "clock": lambda: float(NOW)}


@every_integration
@every_failure
def test_a_registration_that_fails_in_an_integration_says_no_canary(
    start: Start, failure: Reply, portal: BlockingPortal, registry: RegistryServer, ear: Ear
) -> None:
    registry.script = [failure]
    with start(portal, _options(registry.host)) as integration:
        answer = integration.send("GET", "/health", [], b"")
        ear.wait_for("registered queue work", "holds another registration")
    assert leaks(text_of(answer), ear.heard()) == []


@every_integration
@pytest.mark.parametrize("job_name", ["def", "async def"])
@pytest.mark.parametrize("reply", [None, *FAILURES.values()], ids=["refused", *FAILURES])
def test_a_call_of_a_job_that_fails_says_no_canary(
    start: Start, job_name: str, reply: Reply | None, portal: BlockingPortal, registry: RegistryServer, ear: Ear
) -> None:
    with start(portal, _options(registry.host)) as integration:
        integration.send("GET", "/health", [], b"")
        ear.wait_for("registered queue work")
        body = encode(delivery(queue="work", timeout=2000, job={"name": job_name}))
        if reply is None:
            registry.stop()
        else:
            registry.script = [reply]
        answer = integration.send("POST", "/queues/work", signed(body), body)
    assert answer.status == 200
    assert leaks(text_of(answer), ear.heard()) == []


def _urls(host: str) -> dict[str, t.Any]:
    return {"url": connection_string(host), "app_url": "http://127.0.0.1:8000"}


def _run(function: Callable[..., Awaitable[object]], *args: t.Any, **options: t.Any) -> None:
    async def run() -> None:
        try:
            await function(*args, **options)
        finally:
            await close_async_http_client()

    asyncio.run(run())


CALLS: dict[str, Callable[[str], object]] = {
    "ensure_workers_registered": lambda host: ensure_workers_registered([_worker()], **_urls(host)),
    "ensure_workers_registered, replacing": lambda host: ensure_workers_registered(
        [_worker()], replace=True, **_urls(host)
    ),
    "aensure_workers_registered": lambda host: _run(aensure_workers_registered, [_worker()], **_urls(host)),
    "unregister_workers": lambda host: unregister_workers([_worker()], url=connection_string(host)),
    "aunregister_workers": lambda host: _run(aunregister_workers, [_worker()], url=connection_string(host)),
    "registrations": lambda host: registrations([_worker()], **_urls(host)),
    "Queue.add": lambda host: Queue("work", url=connection_string(host), timeout=0.5).add("def"),
    "AsyncQueue.add": lambda host: _run(AsyncQueue("work", url=connection_string(host), timeout=0.5).add, "def"),
}


@pytest.mark.parametrize("call", CALLS.values(), ids=CALLS)
@every_failure
def test_a_call_to_the_server_that_fails_raises_an_error_without_a_canary(
    call: Callable[[str], object], failure: Reply, registry: RegistryServer, ear: Ear
) -> None:
    registry.script = [failure] * 10
    with pytest.raises(NextMQError) as caught:
        call(registry.host)
    assert leaks(text_of_error(caught.value), ear.heard()) == []


@pytest.mark.parametrize("call", CALLS.values(), ids=CALLS)
def test_a_server_that_is_away_raises_an_error_without_a_canary(call: Callable[[str], object], ear: Ear) -> None:
    with pytest.raises(NextMQConnectionError) as caught:
        call(REFUSED)
    assert leaks(text_of_error(caught.value), ear.heard()) == []
