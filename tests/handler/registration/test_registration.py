"""Registering workers and removing them: the calls, the fingerprint, and what the server may say to them."""

import json
import re
import time
import typing as t
from collections.abc import Awaitable, Callable, Iterable

import httpx
import pytest
import respx

from nextmq_handler import (
    AuthenticationError,
    ConfigurationError,
    NextMQConnectionError,
    NextMQHTTPError,
    Worker,
    WorkerRegistrationError,
    __version__,
    aensure_workers_registered,
    aunregister_workers,
    ensure_workers_registered,
    unregister_workers,
)
from nextmq_handler.protocol.signing import parse_secret
from nextmq_handler.registration import fingerprint, registration_of
from nextmq_handler.settings import LOADED_AT, Settings, load_settings
from tests.support.handler import API_KEY, APP_URL, OTHER_SECRET, SECRET, URL, as_async_def, as_def

pytestmark = pytest.mark.anyio

Call = Callable[..., Awaitable[None]]


async def register(workers: Iterable[Worker], **options: t.Any) -> None:
    ensure_workers_registered(workers, **options)


async def unregister(workers: Iterable[Worker], **options: t.Any) -> None:
    unregister_workers(workers, **options)


registering = pytest.mark.parametrize("call", [register, aensure_workers_registered], ids=["sync", "async"])
unregistering = pytest.mark.parametrize("call", [unregister, aunregister_workers], ids=["sync", "async"])


def worker(name: str = "emails", **options: t.Any) -> Worker:
    return Worker(name, lambda job: None, **options)


def settings(app_url: str = APP_URL, secrets: str = SECRET) -> Settings:
    return load_settings(url=URL, app_url=app_url, webhook_secrets=secrets, environ={})


def conflict(fields: list[str]) -> httpx.Response:
    return httpx.Response(409, json={"error": "worker_conflict", "details": {"fields": fields}})


@registering
async def test_a_registration_says_where_the_worker_is_and_how_it_works(
    call: Call, server: respx.MockRouter
) -> None:
    route = server.put("/v1/queues/emails/worker").respond(200, json={})
    await call([worker(concurrency=5, timeout=2, limiter={"max": 1, "duration": 1000})], url=URL, app_url=APP_URL)
    sent = json.loads(route.calls.last.request.content)
    assert re.fullmatch(r"[A-Za-z0-9_-]{1,64}", sent.pop("fingerprint"))
    assert 0 <= sent.pop("age") <= (time.monotonic() - LOADED_AT) * 1000 + 1
    assert sent == {
        "url": f"{APP_URL}/queues/emails",
        "options": {"concurrency": 5, "timeout": 2000, "limiter": {"max": 1, "duration": 1000}},
        "secretIds": [parse_secret(SECRET).id],
        "release": "",
        "sdk": f"nextmq-python/{__version__}",
        "schemas": None,
    }


def test_another_backoff_strategy_is_another_fingerprint() -> None:
    slow, slower = (worker(backoff_strategies={"slow": [delay]}) for delay in (1, 2))
    assert fingerprint(slow, settings()) != fingerprint(slower, settings())


@registering
async def test_a_registration_is_authorised_by_the_api_key(call: Call, server: respx.MockRouter) -> None:
    route = server.put("/v1/queues/emails/worker").respond(200, json={})
    await call([worker()], url=URL, app_url=APP_URL)
    assert route.calls.last.request.headers["authorization"] == f"Bearer {API_KEY}"


@registering
async def test_each_worker_is_registered(call: Call, server: respx.MockRouter) -> None:
    routes = [server.put(f"/v1/queues/{name}/worker").respond(200, json={}) for name in ("emails", "reports")]
    await call([worker("emails"), worker("reports")], url=URL, app_url=APP_URL)
    assert [route.call_count for route in routes] == [1, 1]


@registering
async def test_registering_again_is_the_same_call(call: Call, server: respx.MockRouter) -> None:
    route = server.put("/v1/queues/emails/worker").respond(200, json={"lastSeen": 1})
    for _ in range(2):
        await call([worker()], url=URL, app_url=APP_URL)
    first, second = (json.loads(call.request.content) | {"age": 0} for call in route.calls)
    assert first == second


@registering
async def test_the_settings_of_a_registration_come_from_the_environment(
    call: Call, server: respx.MockRouter, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("NEXTMQ_URL", URL)
    monkeypatch.setenv("NEXTMQ_APP_URL", APP_URL)
    monkeypatch.setenv("NEXTMQ_WEBHOOK_SECRETS", f"{SECRET} {OTHER_SECRET}")
    route = server.put("/v1/queues/emails/worker").respond(200, json={})
    await call([worker()])
    sent = json.loads(route.calls.last.request.content)
    assert sent["secretIds"] == [parse_secret(SECRET).id, parse_secret(OTHER_SECRET).id]


@registering
@pytest.mark.parametrize(
    ("options", "missing"), [({"app_url": APP_URL}, "NEXTMQ_URL"), ({"url": URL}, "NEXTMQ_APP_URL")]
)
async def test_a_missing_setting_is_asked_for_by_name(call: Call, options: dict[str, str], missing: str) -> None:
    with pytest.raises(ConfigurationError, match=rf"\A{missing} is not set"):
        await call([worker()], **options)


@registering
async def test_a_conflict_is_an_error_that_names_the_queue(call: Call, server: respx.MockRouter) -> None:
    server.put("/v1/queues/emails/worker").mock(conflict(["url", "secretIds"]))
    with pytest.raises(WorkerRegistrationError) as caught:
        await call([worker()], url=URL, app_url=APP_URL)
    assert caught.value.queue == "emails"


@registering
async def test_a_conflict_is_an_error_that_lists_what_differs(call: Call, server: respx.MockRouter) -> None:
    server.put("/v1/queues/emails/worker").mock(conflict(["url", "secretIds"]))
    with pytest.raises(WorkerRegistrationError, match="url, secretIds differs") as caught:
        await call([worker()], url=URL, app_url=APP_URL)
    assert caught.value.fields == ("url", "secretIds")


@registering
async def test_a_conflict_says_the_fix(call: Call, server: respx.MockRouter) -> None:
    server.put("/v1/queues/emails/worker").mock(conflict(["url"]))
    with pytest.raises(WorkerRegistrationError, match="nextmq workers replace module:handler"):
        await call([worker()], url=URL, app_url=APP_URL)


@registering
@pytest.mark.parametrize(
    ("answer", "error"),
    [
        (httpx.Response(401, json={"error": "unauthorized"}), AuthenticationError),
        (httpx.Response(409, json={"error": "project_conflict"}), NextMQHTTPError),
        (httpx.Response(503, text="busy"), NextMQHTTPError),
    ],
    ids=["401", "another 409", "503"],
)
async def test_another_refusal_is_the_error_of_its_status(
    call: Call, answer: httpx.Response, error: type[Exception], server: respx.MockRouter
) -> None:
    server.put("/v1/queues/emails/worker").mock(answer)
    with pytest.raises(NextMQHTTPError) as caught:
        await call([worker()], url=URL, app_url=APP_URL)
    assert type(caught.value) is error


@registering
async def test_a_server_that_is_not_there_is_a_connection_error(call: Call, server: respx.MockRouter) -> None:
    server.put("/v1/queues/emails/worker").mock(side_effect=httpx.ConnectError)
    with pytest.raises(NextMQConnectionError):
        await call([worker()], url=URL, app_url=APP_URL)


@unregistering
@pytest.mark.parametrize("answer", [httpx.Response(204), httpx.Response(404, json={"error": "not_found"})])
async def test_a_worker_is_unregistered_whether_or_not_it_was_there(
    call: Call, answer: httpx.Response, server: respx.MockRouter
) -> None:
    route = server.delete("/v1/queues/emails/worker").mock(answer)
    await call([worker()], url=URL)
    assert route.call_count == 1


@unregistering
async def test_unregistering_says_where_something_else_answers(call: Call, server: respx.MockRouter) -> None:
    server.delete("/v1/queues/emails/worker").respond(404, text="<h1>Not here</h1>")
    with pytest.raises(NextMQHTTPError):
        await call([worker()], url=URL)


def test_the_fingerprint_stays_the_same_between_releases() -> None:
    # Another value would make every app of an older release look changed.
    assert fingerprint(worker(), settings()) == "SjCl1ji0H2IekHx9"


def test_the_fingerprint_is_the_one_that_is_registered() -> None:
    assert registration_of(worker(), settings())["fingerprint"] == fingerprint(worker(), settings())


CHANGES: dict[str, tuple[Worker, Settings]] = {
    "url": (worker(), settings("https://other.example")),
    "queue": (worker("reports"), settings()),
    "concurrency": (worker(concurrency=2), settings()),
    "timeout": (worker(timeout=31), settings()),
    "limiter": (worker(limiter={"max": 1, "duration": 1}), settings()),
    "lock_duration": (worker(lock_duration=30_000), settings()),
    "stalled_interval": (worker(stalled_interval=30_000), settings()),
    "max_stalled_count": (worker(max_stalled_count=1), settings()),
    "dead_letter": (worker(dead_letter=True), settings()),
}
SAME: dict[str, tuple[Worker, Settings]] = {
    "secrets": (worker(), settings(secrets=OTHER_SECRET)),
    "API key": (worker(), load_settings(url=f"nextmq://other:{SECRET}@queue.example/shop", app_url=APP_URL)),
    "processor": (Worker("emails", as_async_def(lambda job: None)), settings()),
    "a last slash": (worker(), settings(APP_URL + "/")),
    "a default given": (worker(concurrency=1, timeout=30), settings()),
}


@pytest.mark.parametrize("change", CHANGES.values(), ids=CHANGES)
def test_the_fingerprint_changes_with_the_url_and_each_option(change: tuple[Worker, Settings]) -> None:
    assert fingerprint(*change) != fingerprint(worker(), settings())


@pytest.mark.parametrize("change", SAME.values(), ids=SAME)
def test_the_fingerprint_does_not_change_with_what_is_neither(change: tuple[Worker, Settings]) -> None:
    assert fingerprint(*change) == fingerprint(worker(), settings())


def test_the_fingerprint_does_not_change_with_job_names() -> None:
    named = Worker("emails")
    named.processor("welcome")(as_def(lambda job: None))
    assert fingerprint(named, settings()) == fingerprint(worker(), settings())
