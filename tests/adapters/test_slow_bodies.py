"""Bodies that come too slowly, in WSGI servers whose own reads wait for all that was asked for."""

from __future__ import annotations

import contextlib
import io
import threading
import time
import typing as t
from collections.abc import Callable, Iterator

import pytest
from flask import Flask
from hypothesis import given, settings
from hypothesis import strategies as st

from nextmq_adapters.django import nextmq_view
from nextmq_adapters.flask import nextmq_blueprint
from nextmq_handler import Worker
from nextmq_handler.receiver.timed_reads import SMALL_READ, Alarms, BodyTooSlow, timed_chunks
from nextmq_handler.wsgi import create_nextmq_wsgi_handler
from tests.adapters.servers import SERVERS, Server
from tests.conformance.integrations.integration import Answer
from tests.conformance.integrations.processes import head_of, read_answer
from tests.conformance.integrations.wsgi import django_app
from tests.support.handler import JSON, NOW, SECRET, delivery, encode, seal, signed

GOOD = encode(delivery())
CHUNKED = [JSON, (b"transfer-encoding", b"chunked"), *seal(GOOD)]
OPTIONS: dict[str, t.Any] = {"webhook_secrets": SECRET, "clock": lambda: float(NOW), "body_timeout": 0.12}
MOUNT = "/api/nextmq"
PAUSE = 0.01
"""How long, in s, a dripping caller waits between two bytes."""


def flask() -> Flask:
    app = Flask(__name__)
    app.register_blueprint(nextmq_blueprint([Worker("emails", lambda job: "done")], **OPTIONS), url_prefix=MOUNT)
    return app


APPS: dict[str, tuple[Callable[[], t.Any], str]] = {
    "WSGI": (lambda: create_nextmq_wsgi_handler([Worker("emails", lambda job: "done")], **OPTIONS), ""),
    "Flask": (flask, MOUNT),
    "Django": (
        lambda: django_app({MOUNT: nextmq_view([Worker("emails", lambda job: "done")], **OPTIONS)}),
        MOUNT,
    ),
}
BODIES: dict[str, tuple[int, bool]] = {
    "no byte": (0, False),
    "one byte": (1, False),
    "a half at once": (len(GOOD) // 2, False),
    "all but one byte": (len(GOOD) - 1, False),
    "byte by byte": (0, True),
    "a half at once, then byte by byte": (len(GOOD) // 2, True),
}
"""How much of the body comes with the head, and whether more of it drips. None is whole before it is answered."""


@pytest.fixture(params=SERVERS)
def server(request: pytest.FixtureRequest) -> Iterator[Server]:
    with SERVERS[request.param]() as started:
        yield started


def _piece(body: bytes, *, is_chunked: bool) -> bytes:
    return b"%x\r\n%s\r\n" % (len(body), body) if body and is_chunked else body


def _send_slowly(server: Server, app: t.Any, path: str, body: tuple[int, bool], *, is_chunked: bool) -> Answer:
    at_once, drips = body
    answered = threading.Event()
    with server.serve(app) as connection:
        head = head_of("POST", path, CHUNKED if is_chunked else signed(GOOD))
        connection.sendall(head + _piece(GOOD[:at_once], is_chunked=is_chunked))

        def drip() -> None:
            for byte in GOOD[at_once:-1] if drips else b"":
                if answered.wait(PAUSE):
                    return
                with contextlib.suppress(OSError):  # the server may close before the answer is read here
                    connection.sendall(_piece(bytes([byte]), is_chunked=is_chunked))

        thread = threading.Thread(target=drip)
        thread.start()
        try:
            return read_answer(connection)
        finally:
            answered.set()
            thread.join()


@pytest.mark.parametrize("body", BODIES.values(), ids=BODIES)
@pytest.mark.parametrize("app", APPS)
def test_a_body_that_does_not_end_is_answered_408(server: Server, app: str, body: tuple[int, bool]) -> None:
    make, mount = APPS[app]
    answer = _send_slowly(server, make(), f"{mount}/queues/emails", body, is_chunked=False)
    assert (answer.status, answer.json) == (408, {"error": "request_timeout"})


@pytest.mark.parametrize("body", BODIES.values(), ids=BODIES)
@pytest.mark.parametrize("server", [name for name in SERVERS if name != "wsgiref"], indirect=True)
def test_a_chunked_body_that_does_not_end_is_answered_408(server: Server, body: tuple[int, bool]) -> None:
    answer = _send_slowly(server, APPS["WSGI"][0](), "/queues/emails", body, is_chunked=True)
    assert (answer.status, answer.json) == (408, {"error": "request_timeout"})


def test_after_slow_bodies_a_server_takes_deliveries(server: Server) -> None:
    app = APPS["WSGI"][0]()
    for body in BODIES.values():
        _send_slowly(server, app, "/queues/emails", body, is_chunked=False)
    assert server.post(app, "/queues/emails", signed(GOOD), GOOD).status == 200


class Dripping(io.RawIOBase):
    """A body whose reads return when all that was asked for has come, by a clock of its own."""

    def __init__(self, body: bytes, pause: t.Callable[[int], float]) -> None:
        self._body = body
        self._pause = pause
        self._at = 0
        self.now = 0.0

    def read(self, size: int = -1, /) -> bytes:
        chunk = self._body[self._at : self._at + size]
        self.now += sum(self._pause(self._at + index) for index in range(len(chunk)))
        self._at += len(chunk)
        return chunk


SIXTY_FOURTHS = st.integers(2, 1280).map(lambda number: number / 64)
"""Seconds that add up exactly. Each is longer than a read that did not wait."""


@settings(max_examples=200, deadline=None)
@given(
    body=st.binary(min_size=1, max_size=2000),
    fast=st.integers(0, 2000),
    pause=SIXTY_FOURTHS,
    until=SIXTY_FOURTHS,
)
def test_without_a_connection_to_end_the_clock_is_looked_at_after_few_bytes(
    body: bytes, fast: int, pause: float, until: float
) -> None:
    stream = Dripping(body, lambda index: 0.0 if index < fast else pause)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(time, "monotonic", lambda: stream.now)
        try:
            whole: bytes | None = b"".join(timed_chunks(stream, len(body), until=until, connection=None))
        except BodyTooSlow:
            whole = None
    needed = pause * max(0, len(body) - fast)
    assert (whole == body) == (needed < until)
    assert stream.now < until + SMALL_READ * pause


def test_an_alarm_rings_at_its_moment_and_not_before() -> None:
    rung = threading.Event()
    moment = time.monotonic() + 0.02
    with Alarms().at(moment, rung.set):
        rung.wait()
    assert time.monotonic() >= moment


def test_an_alarm_whose_block_has_ended_does_not_ring() -> None:
    alarms, rung, later = Alarms(), threading.Event(), threading.Event()
    with alarms.at(time.monotonic() + 0.02, rung.set):
        pass
    with alarms.at(time.monotonic() + 0.04, later.set):
        later.wait()
    assert not rung.is_set()


def test_alarms_ring_in_the_order_of_their_moments() -> None:
    alarms, order, done = Alarms(), list[int](), threading.Event()
    now = time.monotonic()
    with contextlib.ExitStack() as stack:
        stack.enter_context(alarms.at(now + 0.06, done.set))
        for number in (3, 1, 2):
            stack.enter_context(alarms.at(now + number / 100, lambda number=number: order.append(number)))  # type: ignore[misc]
        done.wait()
    assert order == [1, 2, 3]
