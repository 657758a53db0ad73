"""The registration that the server holds for each worker, and replacing it, sync and async."""

import json
import typing as t
import warnings
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
    aensure_workers_registered,
    ensure_workers_registered,
)
from nextmq_handler.registration import (
    WorkerStatus,
    aget_worker_registration_statuses,
    aregistrations,
    fingerprint,
    get_worker_registration_statuses,
    registrations,
)
from nextmq_handler.settings import load_settings
from tests.support.handler import API_KEY, APP_URL, URL

pytestmark = pytest.mark.anyio

SETTINGS = load_settings(url=URL, app_url=APP_URL, environ={})
EMAILS, REPORTS = Worker("emails", lambda job: None), Worker("reports", lambda job: None)
MINE = fingerprint(EMAILS, SETTINGS)
PATH = "/v1/queues/emails/worker"
OK = httpx.Response(200, json={})
NOT_FOUND = httpx.Response(404, json={"error": "not_found"})
CONFLICT = httpx.Response(409, json={"error": "worker_conflict", "details": {"fields": ["url", "options"]}})

Statuses = Callable[..., Awaitable[list[WorkerStatus]]]
Call = Callable[..., Awaitable[None]]


async def statuses_of(workers: Iterable[Worker], **options: t.Any) -> list[WorkerStatus]:
    return registrations(workers, **options)


async def register(workers: Iterable[Worker], **options: t.Any) -> None:
    ensure_workers_registered(workers, **options)


asking = pytest.mark.parametrize("statuses", [statuses_of, aregistrations], ids=["sync", "async"])
registering = pytest.mark.parametrize("call", [register, aensure_workers_registered], ids=["sync", "async"])


def held(word: str = MINE) -> httpx.Response:
    registration = {
        "url": "https://other.example/queues/emails",
        "fingerprint": word,
        "lastSeen": 1_790_000_000_000,
    }
    return httpx.Response(200, json=registration)


@asking
@pytest.mark.parametrize(("word", "matches"), [(MINE, True), ("theirs", False)])
async def test_a_registration_that_is_held_has_its_url_and_whether_it_is_this_apps(
    word: str, matches: bool, statuses: Statuses, server: respx.MockRouter
) -> None:
    server.get(PATH).mock(held(word))
    assert await statuses([EMAILS], url=URL, app_url=APP_URL) == [
        WorkerStatus("emails", "https://other.example/queues/emails", matches, 1_790_000_000_000)
    ]


@asking
async def test_a_registration_that_is_not_held_has_nothing(statuses: Statuses, server: respx.MockRouter) -> None:
    server.get(PATH).mock(NOT_FOUND)
    assert await statuses([EMAILS], url=URL, app_url=APP_URL) == [WorkerStatus("emails", None, False, None)]


@asking
async def test_each_worker_has_a_status_in_order(statuses: Statuses, server: respx.MockRouter) -> None:
    server.get(PATH).mock(NOT_FOUND)
    server.get("/v1/queues/reports/worker").mock(held())
    found = await statuses([REPORTS, EMAILS], url=URL, app_url=APP_URL)
    assert [(status.queue, status.url is not None) for status in found] == [("reports", True), ("emails", False)]


@asking
async def test_asking_is_authorised_by_the_api_key(statuses: Statuses, server: respx.MockRouter) -> None:
    route = server.get(PATH).mock(NOT_FOUND)
    await statuses([EMAILS], url=URL, app_url=APP_URL)
    assert route.calls.last.request.headers["authorization"] == f"Bearer {API_KEY}"


@asking
async def test_the_settings_come_from_the_environment(
    statuses: Statuses, server: respx.MockRouter, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("NEXTMQ_URL", URL)
    monkeypatch.setenv("NEXTMQ_APP_URL", APP_URL)
    server.get(PATH).mock(held())
    assert [status.matches for status in await statuses([EMAILS])] == [True]


@asking
@pytest.mark.parametrize(
    ("options", "missing"), [({"app_url": APP_URL}, "NEXTMQ_URL"), ({"url": URL}, "NEXTMQ_APP_URL")]
)
async def test_a_setting_that_is_missing_is_asked_for(
    options: dict[str, str], missing: str, statuses: Statuses, server: respx.MockRouter
) -> None:
    server.get(PATH).mock(held())
    with pytest.raises(ConfigurationError, match=rf"\A{missing} is not set"):
        await statuses([EMAILS], **options)


FAILURES: dict[str, tuple[httpx.Response | Exception, type[Exception]]] = {
    "401": (httpx.Response(401, json={"error": "unauthorized"}), AuthenticationError),
    "another 404": (httpx.Response(404, text="<h1>Not here</h1>"), NextMQHTTPError),
    "503": (httpx.Response(503), NextMQHTTPError),
    "no server": (httpx.ConnectError("refused"), NextMQConnectionError),
}


@asking
@pytest.mark.parametrize(("failure", "error"), FAILURES.values(), ids=FAILURES)
async def test_asking_in_vain_is_the_error_of_the_answer(
    failure: httpx.Response | Exception, error: type[Exception], statuses: Statuses, server: respx.MockRouter
) -> None:
    server.get(PATH).mock(side_effect=[failure])
    with pytest.raises(error) as caught:
        await statuses([EMAILS], url=URL, app_url=APP_URL)
    assert type(caught.value) is error


@registering
async def test_a_replacement_asks_and_then_names_what_it_replaces(call: Call, server: respx.MockRouter) -> None:
    server.get(PATH).mock(held("theirs"))
    server.put(PATH).mock(OK)
    await call([EMAILS], url=URL, app_url=APP_URL, replace=True)
    requests = [(request.method, dict(request.url.params)) for request, _ in server.calls]
    assert requests == [("GET", {}), ("PUT", {"replace": "true", "fingerprint": "theirs"})]


@registering
async def test_a_replacement_of_nothing_is_a_registration(call: Call, server: respx.MockRouter) -> None:
    server.get(PATH).mock(NOT_FOUND)
    route = server.put(PATH).mock(OK)
    await call([EMAILS], url=URL, app_url=APP_URL, replace=True)
    assert dict(route.calls.last.request.url.params) == {}


@registering
async def test_a_registration_asks_for_nothing(call: Call, server: respx.MockRouter) -> None:
    server.put(PATH).mock(OK)
    await call([EMAILS], url=URL, app_url=APP_URL)
    assert [(request.method, dict(request.url.params)) for request, _ in server.calls] == [("PUT", {})]


@registering
async def test_a_replacement_carries_the_registration(call: Call, server: respx.MockRouter) -> None:
    server.get(PATH).mock(held("theirs"))
    route = server.put(PATH).mock(OK)
    await call([EMAILS], url=URL, app_url=APP_URL, replace=True)
    assert json.loads(route.calls.last.request.content)["fingerprint"] == MINE


@registering
async def test_a_replacement_that_lost_the_race_is_a_registration_error(
    call: Call, server: respx.MockRouter
) -> None:
    server.get(PATH).mock(held("theirs"))
    server.put(PATH).mock(CONFLICT)
    with pytest.raises(WorkerRegistrationError) as caught:
        await call([EMAILS], url=URL, app_url=APP_URL, replace=True)
    assert (caught.value.queue, caught.value.fields) == ("emails", ("url", "options"))


@registering
async def test_a_replacement_of_one_that_appeared_meanwhile_is_a_registration_error(
    call: Call, server: respx.MockRouter
) -> None:
    server.get(PATH).mock(NOT_FOUND)
    server.put(PATH).mock(CONFLICT)
    with pytest.raises(WorkerRegistrationError):
        await call([EMAILS], url=URL, app_url=APP_URL, replace=True)


@registering
@pytest.mark.parametrize(("failure", "error"), FAILURES.values(), ids=FAILURES)
async def test_a_replacement_that_cannot_ask_registers_nothing(
    failure: httpx.Response | Exception, error: type[Exception], call: Call, server: respx.MockRouter
) -> None:
    server.get(PATH).mock(side_effect=[failure])
    route = server.put(PATH).mock(OK)
    with pytest.raises(error):
        await call([EMAILS], url=URL, app_url=APP_URL, replace=True)
    assert route.call_count == 0


async def deprecated_statuses_of(workers: Iterable[Worker], **options: t.Any) -> list[WorkerStatus]:
    return get_worker_registration_statuses(workers, **options)


@pytest.mark.parametrize(
    "statuses", [deprecated_statuses_of, aget_worker_registration_statuses], ids=["sync", "async"]
)
async def test_the_old_names_still_work(statuses: Statuses, server: respx.MockRouter) -> None:
    server.get(PATH).mock(held())
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", DeprecationWarning)  # once in a process
        [status] = await statuses([EMAILS], url=URL, app_url=APP_URL)
    assert status.matches
