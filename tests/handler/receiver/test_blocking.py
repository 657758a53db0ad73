"""The blocking driver: deliveries in the caller's thread, registrations beside them."""

import asyncio
import threading
import typing as t

import httpx
import pytest
import respx

from nextmq_handler import AsyncJob, Job, Worker
from nextmq_handler.protocol.messages import Headers, Request, Response
from nextmq_handler.protocol.signing import parse_secret, verify_outcome
from nextmq_handler.receiver.receiver import ReadPlan, Receiver
from nextmq_handler.receiver.sync_driver import SyncDriver
from nextmq_handler.registration import fingerprint
from tests.support.handler import APP_URL, NOW, OTHER_SECRET, SECRET, URL, delivery, encode, signed
from tests.support.registering import CONFLICT, EMAILS, OK, PATH, SETTINGS, held, join_registrations, registrations

LONG = 60.0
CURRENT = {"fingerprint": fingerprint(EMAILS, SETTINGS)}
OUTDATED = {"fingerprint": "another"}
DONE = {"outcome": "completed", "returnValue": "done"}
DONE_BY_THIS = {**DONE, "worker": CURRENT}


def make(worker: Worker = EMAILS, *, settle: float = 0.0, **options: t.Any) -> SyncDriver:
    options = {"url": URL, "app_url": APP_URL, **options}
    return SyncDriver(Receiver([worker], clock=lambda: NOW, **options), settle=settle)


def get_health(driver: SyncDriver, *, method: str = "GET") -> int:
    return driver.respond(Request(method, "/health", Headers()), lambda plan: b"").status


def post(
    driver: SyncDriver, *, secret: str = SECRET, time_left: float | None = None, **changes: t.Any
) -> Response:
    """Return the answer to a delivery."""
    body = encode(delivery(**changes))
    request = Request("POST", "/queues/emails", Headers(signed(body, secrets=[secret])))
    return driver.respond(request, lambda plan: body, time_left=time_left)


def outcome_of(driver: SyncDriver, **changes: t.Any) -> dict[str, t.Any]:
    """Return the outcome of a delivery, its signature checked."""
    answer = post(driver, **changes)
    assert answer.status == 200
    verify_outcome(Headers(answer.headers), answer.body, [parse_secret(SECRET)], delivery_id="dlv_1", now=NOW)
    outcome: dict[str, t.Any] = httpx.Response(200, content=answer.body).json()
    return outcome


def test_health_registers_before_it_answers(server: respx.MockRouter) -> None:
    route = server.put(PATH).mock(OK)
    get_health(make(settle=LONG))
    assert (route.call_count, registrations()) == (1, set())


@pytest.mark.parametrize("settle", [0.0, 0.01])
def test_health_waits_for_the_registration_no_longer_than_it_settles(
    settle: float, server: respx.MockRouter
) -> None:
    with held(server) as answer:
        status = get_health(make(settle=settle))
        assert (status, answer.go.is_set()) == (200, False)


@pytest.mark.parametrize("method", ["GET", "HEAD"])
def test_health_registers_once_in_a_minute(method: str, server: respx.MockRouter) -> None:
    route = server.put(PATH).mock(OK)
    driver = make(settle=LONG)
    for _ in range(3):
        get_health(driver, method=method)
    assert route.call_count == 1


@pytest.mark.parametrize(
    ("method", "path"),
    [
        ("POST", "/health"),
        ("GET", "/queues/emails"),
        ("GET", "/"),
        ("POST", "/queues/emails"),
        ("GET", "/health/"),
    ],
)
def test_a_request_that_is_refused_registers_nothing(method: str, path: str, server: respx.MockRouter) -> None:
    make(settle=LONG).respond(Request(method, path, Headers()), lambda plan: b"")
    assert (len(server.calls), registrations()) == (0, set())


def test_a_forged_delivery_registers_nothing(server: respx.MockRouter) -> None:
    post(make(settle=LONG), secret=OTHER_SECRET, worker=OUTDATED)
    assert (len(server.calls), registrations()) == (0, set())


def test_a_delivery_of_this_registration_registers_nothing(server: respx.MockRouter) -> None:
    outcome_of(make(settle=LONG), worker=CURRENT)
    assert (len(server.calls), registrations()) == (0, set())


def test_a_delivery_to_an_app_without_a_url_registers_nothing(server: respx.MockRouter) -> None:
    outcome_of(make(settle=LONG, app_url=None), worker=OUTDATED)
    assert (len(server.calls), registrations()) == (0, set())


def test_a_delivery_of_another_registration_registers_before_it_is_answered(server: respx.MockRouter) -> None:
    has_run = threading.Event()

    def answer(request: httpx.Request) -> httpx.Response:
        has_run.wait()
        return OK

    route = server.put(PATH).mock(side_effect=answer)
    outcome_of(make(Worker("emails", lambda job: has_run.set()), settle=LONG), worker=OUTDATED)
    assert (route.call_count, registrations()) == (1, set())


def test_a_delivery_of_another_registration_registers_while_its_processor_runs(server: respx.MockRouter) -> None:
    together = threading.Barrier(2, timeout=30)

    def answer(request: httpx.Request) -> httpx.Response:
        together.wait()
        return OK

    def process(job: Job[object]) -> str:
        together.wait()
        return "met"

    server.put(PATH).mock(side_effect=answer)
    outcome = outcome_of(make(Worker("emails", process), settle=LONG), worker=OUTDATED)
    assert outcome["returnValue"] == "met"


@pytest.mark.parametrize("settle", [0.0, 0.01])
def test_a_delivery_waits_for_its_registration_no_longer_than_it_settles(
    settle: float, server: respx.MockRouter
) -> None:
    with held(server) as answer:
        outcome = outcome_of(make(settle=settle), worker=OUTDATED)
        assert (outcome, answer.go.is_set()) == (DONE_BY_THIS, False)


FAILURES: dict[str, t.Any] = {
    "a conflict": [CONFLICT],
    "401": [httpx.Response(401, json={"error": "unauthorized"}), OK],
    "503": [httpx.Response(503), OK],
    "no server": [httpx.ConnectError("refused"), OK],
    "not the server": [httpx.Response(200, text="<html>"), OK],
}


@pytest.mark.parametrize("answers", FAILURES.values(), ids=FAILURES)
def test_a_registration_that_fails_does_not_change_the_outcome(answers: t.Any, server: respx.MockRouter) -> None:
    server.put(PATH).mock(side_effect=list(answers))
    outcome = outcome_of(make(), worker=OUTDATED)
    join_registrations()
    assert outcome == DONE_BY_THIS


def test_a_setting_that_is_missing_does_not_change_the_outcome() -> None:
    outcome = outcome_of(make(url=None, webhook_secrets=SECRET), worker=OUTDATED)
    join_registrations()
    assert outcome == DONE_BY_THIS


def test_a_body_that_cannot_be_read_is_answered_as_the_reader_says() -> None:
    refusal = Response(408, [], b"")
    request = Request("POST", "/queues/emails", Headers(signed(encode(delivery()))))
    assert make().respond(request, lambda plan: refusal) is refusal


def test_a_body_is_read_as_the_handler_plans() -> None:
    plans: list[ReadPlan] = []

    def read(plan: ReadPlan) -> bytes:
        plans.append(plan)
        return b""

    request = Request("POST", "/queues/emails", Headers(signed(b"12345")))
    make(max_body_size=100, body_timeout=3.0).respond(request, read)
    assert [(plan.declared_size, plan.max_size, plan.timeout) for plan in plans] == [(5, 100, 3.0)]


def test_a_def_runs_in_the_callers_thread() -> None:
    driver = make(Worker("emails", lambda job: threading.get_ident()))
    assert outcome_of(driver, worker=CURRENT)["returnValue"] == threading.get_ident()


def test_an_async_def_is_cancelled_at_its_deadline() -> None:
    seen: list[str] = []

    async def process(job: AsyncJob[object]) -> None:
        try:
            await asyncio.Event().wait()
        except asyncio.CancelledError:
            seen.append("cancelled")
            raise

    outcome = outcome_of(make(Worker("emails", process)), worker=CURRENT, timeout=20)
    assert (outcome["error"]["name"], seen) == ("DeadlineExceeded", ["cancelled"])


@pytest.mark.parametrize(("time_left", "limit"), [(5.0, 5.0), (None, 29.5), (1000.0, 29.5)])
def test_the_deadline_is_the_sooner_of_the_deliverys_and_the_platforms(
    time_left: float | None, limit: float
) -> None:
    left: list[float] = []
    driver = make(Worker("emails", lambda job: left.append(job.time_left())))
    post(driver, time_left=time_left, worker=CURRENT)
    assert 0 < limit - left[0] + 1e-9 < limit


def test_a_job_name_without_a_processor_fails_the_attempt() -> None:
    worker = Worker("emails")
    worker.processor("goodbye")(lambda job: None)
    assert outcome_of(make(worker), worker=CURRENT)["error"]["name"] == "UnknownJobName"
