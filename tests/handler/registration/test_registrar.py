"""The registrar: one thread at a time, once for each process, until it is told to stop."""

import logging
import subprocess
import sys
import threading
import typing as t
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

import httpx
import pytest
import respx

from nextmq_handler import Worker
from nextmq_handler.registration import registrar as registrar_module
from nextmq_handler.registration.registrar import MAX_SERVER_ERRORS, Registrar
from nextmq_handler.wsgi import create_nextmq_wsgi_handler
from tests.support.handler import API_KEY, APP_URL, SECRET, URL
from tests.support.registering import (
    CONFLICT,
    EMAILS,
    OK,
    PATH,
    REFUSED,
    SETTINGS,
    held,
    join_registrations,
    registrations,
)


def make(**options: t.Any) -> Registrar:
    return Registrar([EMAILS], lambda: SETTINGS, **options)


def test_a_start_registers(server: respx.MockRouter) -> None:
    route = server.put(PATH).mock(OK)
    make().start()
    join_registrations()
    assert route.call_count == 1


def test_a_start_while_one_registers_starts_no_other(server: respx.MockRouter) -> None:
    registrar = make()
    with held(server) as answer:
        registrar.start()
        answer.arrived.wait()
        registrar.start()
        assert len(registrations()) == 1


def test_a_start_after_one_registers_again(server: respx.MockRouter) -> None:
    route = server.put(PATH).mock(OK)
    registrar = make()
    for _ in range(2):
        registrar.start()
        join_registrations()
    assert route.call_count == 2


def test_a_start_while_the_last_thread_ends_registers_again(
    server: respx.MockRouter, monkeypatch: pytest.MonkeyPatch
) -> None:
    route = server.put(PATH).mock(OK)
    done, go = threading.Semaphore(0), threading.Event()

    class Ending(threading.Thread):
        """A thread that is alive after its last line, until it is let go."""

        def run(self) -> None:
            super().run()
            done.release()
            go.wait()

    monkeypatch.setattr(threading, "Thread", Ending)
    registrar = make()
    for _ in range(2):
        registrar.start()
        done.acquire(timeout=5)
    go.set()
    join_registrations()
    assert route.call_count == 2


def test_starts_at_the_same_time_start_one(server: respx.MockRouter) -> None:
    registrar = make()
    together = threading.Barrier(8)

    def start() -> None:
        together.wait()
        registrar.start()

    with held(server):
        threads = [threading.Thread(target=start) for _ in range(8)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        assert len(registrations()) == 1


def test_start_once_starts_once(server: respx.MockRouter) -> None:
    route = server.put(PATH).mock(OK)
    registrar = make()
    for _ in range(3):
        registrar.start_once()
        join_registrations()
    assert route.call_count == 1


def test_start_once_after_a_start_starts_nothing(server: respx.MockRouter) -> None:
    route = server.put(PATH).mock(OK)
    registrar = make()
    registrar.start()
    join_registrations()
    registrar.start_once()
    join_registrations()
    assert route.call_count == 1


def test_a_first_reassert_is_a_start(server: respx.MockRouter) -> None:
    route = server.put(PATH).mock(OK)
    make().reassert()
    join_registrations()
    assert route.call_count == 1


@pytest.mark.parametrize(("later", "calls"), [(59.9, 1), (60.0, 2)])
def test_a_reassert_starts_again_a_minute_after_the_start(
    later: float, calls: int, server: respx.MockRouter
) -> None:
    route = server.put(PATH).mock(OK)
    now = [1000.0]
    registrar = make(monotonic=lambda: now[0])
    registrar.start_once()
    join_registrations()
    now[0] += later
    registrar.reassert()
    join_registrations()
    assert route.call_count == calls


def test_waiting_ends_when_it_is_registered(server: respx.MockRouter) -> None:
    server.put(PATH).mock(OK)
    registrar = make()
    registrar.start()
    registrar.wait(60)
    assert not registrations()


def test_waiting_ends_when_its_time_is_over(server: respx.MockRouter) -> None:
    registrar = make()
    with held(server):
        registrar.start()
        registrar.wait(0.01)
        assert len(registrations()) == 1


def test_waiting_for_what_was_not_started_ends_at_once() -> None:
    registrar = make()
    registrar.wait(60)
    assert not registrations()


def test_a_stop_ends_the_tries(server: respx.MockRouter) -> None:
    arrived = threading.Event()

    def answer(request: httpx.Request) -> httpx.Response:
        arrived.set()
        return httpx.Response(503)

    server.put(PATH).mock(side_effect=answer)
    registrar = make()
    registrar.start()
    arrived.wait()
    registrar.stop()
    join_registrations()
    assert not registrations()


def test_a_start_after_a_stop_registers_though_the_stopped_one_still_waits(server: respx.MockRouter) -> None:
    registrar = make()
    with held(server) as answer:
        registrar.start()
        answer.arrived.wait()
        registrar.stop()
        registrar.start()
        assert len(registrations()) == 2


def test_a_start_after_a_stop_tries_until_it_works(server: respx.MockRouter) -> None:
    route = server.put(PATH).mock(side_effect=[OK, httpx.Response(503), OK])
    registrar = make()
    registrar.start()
    join_registrations()
    registrar.stop()
    registrar.start()
    join_registrations()
    assert route.call_count == 3


def logged(caplog: pytest.LogCaptureFixture, level: int) -> list[str]:
    return [record.getMessage() for record in caplog.records if record.levelno == level]


@pytest.mark.parametrize("starts", [1, 3])
def test_what_the_check_finds_is_logged_once_at_warning(
    starts: int, server: respx.MockRouter, caplog: pytest.LogCaptureFixture
) -> None:
    server.put(PATH).mock(OK)
    registrar = make(check=lambda: ["the clocks differ"])
    for _ in range(starts):
        registrar.start()
        join_registrations()
    assert logged(caplog, logging.WARNING) == ["the clocks differ"]


def test_a_conflict_is_logged_once_at_error_however_often_it_starts(
    server: respx.MockRouter, caplog: pytest.LogCaptureFixture
) -> None:
    server.put(PATH).mock(CONFLICT)
    registrar = make()
    for _ in range(3):
        registrar.start()
        join_registrations()
    assert len(logged(caplog, logging.ERROR)) == 1


def test_a_registration_that_the_server_does_not_take_is_logged_once_with_its_reason(
    server: respx.MockRouter, caplog: pytest.LogCaptureFixture
) -> None:
    server.put(PATH).mock(REFUSED)
    registrar = make()
    for _ in range(3):
        registrar.start()
        join_registrations()
    [line] = logged(caplog, logging.ERROR)
    assert "no cron pattern" in line


@pytest.mark.parametrize("answer", [OK, CONFLICT, REFUSED], ids=["registered", "conflict", "refused"])
def test_an_answer_of_the_server_ends_it(answer: httpx.Response, server: respx.MockRouter) -> None:
    server.put(PATH).mock(answer)
    make().start()
    join_registrations()
    assert not registrations()


class CountingServer(ThreadingHTTPServer):
    """A real server, for processes of their own: counts what is registered."""

    registered = 0


class CountingHandler(BaseHTTPRequestHandler):
    def do_PUT(self) -> None:
        self.rfile.read(int(self.headers["content-length"]))
        t.cast("CountingServer", self.server).registered += 1
        self.send_response(200)
        self.send_header("content-length", "0")
        self.end_headers()

    def log_message(self, format: str, *args: object) -> None:
        """Nothing is to be printed."""


@pytest.fixture
def counting_server() -> Iterator[CountingServer]:
    with CountingServer(("127.0.0.1", 0), CountingHandler) as server:
        thread = threading.Thread(target=server.serve_forever)
        thread.start()
        yield server
        server.shutdown()
        thread.join()


FORKING = """
import os
import sys
from nextmq_handler import Worker
from nextmq_handler.registration.registrar import Registrar
from nextmq_handler.settings import load_settings

settings = load_settings(url=sys.argv[1], app_url="http://localhost:8000")
registrar = Registrar([Worker("emails", lambda job: None)], lambda: settings)


def start_twice():
    for _ in range(2):
        registrar.start_once()
        registrar.wait(30)


start_twice()
child = os.fork()
start_twice()
if child:
    sys.exit(os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]))
"""


def test_start_once_starts_once_in_a_process_and_once_in_its_fork(counting_server: CountingServer) -> None:
    url = f"nextmq+http://{API_KEY}:{SECRET}@127.0.0.1:{counting_server.server_address[1]}/shop"
    subprocess.run([sys.executable, "-c", FORKING, url], check=True, timeout=60)
    assert counting_server.registered == 2


@pytest.fixture
def _quick(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(registrar_module, "MIN_RETRY_DELAY", 0.0)
    monkeypatch.setattr(registrar_module, "MAX_RETRY_DELAY", 0.0)


@pytest.mark.usefixtures("_quick")
@pytest.mark.parametrize("status", range(500, 512))
def test_a_server_that_fails_is_asked_a_bounded_number_of_times(
    status: int, server: respx.MockRouter, caplog: pytest.LogCaptureFixture
) -> None:
    route = server.put(PATH).respond(status)
    problems: dict[str, str] = {}
    make(problems=problems).start()
    join_registrations()
    assert route.call_count == MAX_SERVER_ERRORS
    [line] = logged(caplog, logging.ERROR)
    assert line.startswith(f"cannot register queue emails: the server failed {MAX_SERVER_ERRORS} times")
    assert problems == {"emails": line}


@pytest.mark.usefixtures("_quick")
@pytest.mark.parametrize(
    "between",
    [httpx.ConnectError("refused"), httpx.Response(429), httpx.Response(401)],
    ids=["gone", "429", "401"],
)
def test_only_failures_in_a_row_are_counted(between: t.Any, server: respx.MockRouter) -> None:
    failures = [httpx.Response(500)] * (MAX_SERVER_ERRORS - 1)
    route = server.put(PATH).mock(side_effect=[*failures, between, *failures, OK])
    make().start()
    join_registrations()
    assert route.call_count == 2 * MAX_SERVER_ERRORS


@pytest.mark.usefixtures("_quick")
def test_after_it_gave_up_the_next_start_tries_again(server: respx.MockRouter) -> None:
    route = server.put(PATH).mock(side_effect=[*[httpx.Response(500)] * MAX_SERVER_ERRORS, OK])
    problems: dict[str, str] = {}
    registrar = make(problems=problems)
    for _ in range(2):
        registrar.start()
        join_registrations()
    assert (route.call_count, problems) == (MAX_SERVER_ERRORS + 1, {})


@pytest.mark.usefixtures("_quick")
def test_of_two_workers_the_one_that_the_server_takes_is_registered(server: respx.MockRouter) -> None:
    taken = server.put("/v1/queues/reports/worker").mock(OK)
    server.put(PATH).respond(500)
    problems: dict[str, str] = {}
    workers = [EMAILS, Worker("reports", lambda job: None)]
    Registrar(workers, lambda: SETTINGS, problems=problems).start()
    join_registrations()
    assert (taken.call_count, list(problems)) == (1, ["emails"])


def test_an_older_version_asks_once_and_says_so(
    server: respx.MockRouter, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.INFO)
    route = server.put(PATH).respond(200, json={"current": False})
    problems: dict[str, str] = {}
    make(problems=problems).start()
    join_registrations()
    [line] = [text for text in logged(caplog, logging.INFO) if "HTTP" not in text]
    assert line.startswith("queue emails is held by a newer version of this app")
    assert (route.call_count, problems) == (1, {"emails": line})


def test_the_handlers_check_tells_why_a_worker_is_not_registered(server: respx.MockRouter) -> None:
    server.put(PATH).mock(CONFLICT)
    handler = create_nextmq_wsgi_handler([EMAILS], url=URL, app_url=APP_URL)
    handler.register()
    join_registrations()
    [problem] = handler.check()
    assert problem.startswith("the server holds another registration for queue emails: url differs.")


def test_a_new_webhook_secret_is_a_warning_that_ends_by_itself(
    server: respx.MockRouter, caplog: pytest.LogCaptureFixture
) -> None:
    details = {"fields": ["secretIds"], "differences": ["secretIds 00000001 → 00000002"]}
    server.put(PATH).respond(409, json={"error": "worker_conflict", "details": details})
    make().start()
    join_registrations()
    assert logged(caplog, logging.ERROR) == []
    [line] = logged(caplog, logging.WARNING)
    assert "secretIds 00000001 → 00000002. It takes the new webhook secret with the first delivery" in line
