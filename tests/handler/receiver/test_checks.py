"""`handler.check()`: each thing that is wrong with a set-up, in a sentence that names the fix."""

import typing as t
from collections.abc import Callable

import pytest

from nextmq_adapters.aws_lambda import lambda_handler
from nextmq_adapters.django import nextmq_view
from nextmq_adapters.flask import nextmq_blueprint
from nextmq_handler import Worker, create_nextmq_handler
from nextmq_handler.protocol.messages import Headers, Request, Response
from nextmq_handler.receiver.checks import BODY_READ, CLOCK_SKEW
from nextmq_handler.receiver.receiver import ReadPlan, Receiver
from nextmq_handler.wsgi import create_nextmq_wsgi_handler
from tests.support.handler import (
    APP_URL,
    JSON,
    NOW,
    OTHER_SECRET,
    SECRET,
    URL,
    HeaderList,
    delivery,
    encode,
    seal,
    signed,
)

BODY = encode(delivery())
LOCAL_URL = f"nextmq+http://nmq_key_0123456789:{SECRET}@localhost:6390/shop"
RIGHT: dict[str, t.Any] = {"url": URL, "app_url": APP_URL}


def make(*, timeout: float = 30, **options: t.Any) -> Receiver:
    return Receiver([Worker("emails", lambda job: None, timeout=timeout)], clock=lambda: NOW, **options)


SETUPS: dict[str, tuple[dict[str, t.Any], list[str]]] = {
    "nothing is wrong": (RIGHT, []),
    "all on this machine": ({"url": LOCAL_URL, "app_url": "http://localhost:8000"}, []),
    "all on this machine, by address": ({"url": LOCAL_URL, "app_url": "http://127.0.0.1:8000"}, []),
    "a public app of a server on this machine": ({"url": LOCAL_URL, "app_url": APP_URL}, []),
    "no NEXTMQ_URL": (
        {"app_url": APP_URL},
        [
            "NEXTMQ_URL is not set: copy the connection string that the server printed "
            "(nextmq://API_KEY:WEBHOOK_SECRET@host[:port]/project), or pass url=…"
        ],
    ),
    "no NEXTMQ_APP_URL": (
        {"url": URL},
        [
            "NEXTMQ_APP_URL is not set: it is the public URL of this handler, mount path included, such as "
            "https://example.com/api/nextmq; or pass app_url=…"
        ],
    ),
    "an app that the server cannot reach": (
        {"url": URL, "app_url": "http://localhost:8000/api"},
        [
            "NEXTMQ_APP_URL is http://localhost:8000/api, which the server at queue.example cannot reach: set the "
            "public URL of this app"
        ],
    ),
    "an app that the server cannot reach, over https": (
        {"url": URL, "app_url": "https://[::1]:8000"},
        [
            "NEXTMQ_APP_URL is https://[::1]:8000, which the server at queue.example cannot reach: set the public "
            "URL of this app"
        ],
    ),
    "an app over plain http": (
        {"url": URL, "app_url": "http://app.example"},
        ["NEXTMQ_APP_URL is http://app.example: without https anyone on the way can read the jobs"],
    ),
}


@pytest.mark.parametrize(("options", "problems"), SETUPS.values(), ids=SETUPS)
def test_a_setup_has_these_problems(options: dict[str, t.Any], problems: list[str]) -> None:
    assert make(**options).check() == problems


def test_each_setting_that_is_missing_is_a_problem() -> None:
    assert [problem.partition(" is not set")[0] for problem in make().check()] == ["NEXTMQ_URL", "NEXTMQ_APP_URL"]


def test_a_variable_that_came_to_be_wrong_is_a_problem(monkeypatch: pytest.MonkeyPatch) -> None:
    handler = make(app_url=APP_URL)
    monkeypatch.setenv("NEXTMQ_URL", "queue.example")
    assert handler.check() == [
        "NEXTMQ_URL must look like nextmq://API_KEY:WEBHOOK_SECRET@host[:port]/project (or nextmq+http://… on "
        "this machine)"
    ]


def test_a_variable_that_came_to_be_set_is_not_a_problem(monkeypatch: pytest.MonkeyPatch) -> None:
    handler = make(app_url=APP_URL)
    monkeypatch.setenv("NEXTMQ_URL", URL)
    assert handler.check() == []


def head_of(headers: HeaderList) -> Request:
    return Request("POST", "/queues/emails", Headers(headers))


def receive(handler: Receiver, headers: HeaderList, body: bytes, *, time_left: float | None = None) -> None:
    """Let the handler take a delivery, or refuse it."""
    plan = handler.begin(head_of(headers))
    if isinstance(plan, ReadPlan) and not isinstance(handler.verify(plan, body), Response):
        handler.parse(plan, body, time_left=time_left)


@pytest.mark.parametrize("age", [301, -301], ids=["too old", "too new"])
def test_a_delivery_that_was_refused_for_its_timestamp_shows_clocks_that_differ(age: int) -> None:
    handler = make(**RIGHT)
    receive(handler, signed(BODY, at=NOW - age), BODY)
    assert handler.check() == [CLOCK_SKEW]


def test_a_delivery_without_the_body_that_it_came_with_shows_a_middleware_that_reads_it() -> None:
    handler = make(**RIGHT)
    receive(handler, signed(BODY), b"")
    assert handler.check() == [BODY_READ]


UNSUSPICIOUS: dict[str, tuple[HeaderList, bytes]] = {
    "a right delivery": (signed(BODY), BODY),
    "one at the edge of the tolerance": (signed(BODY, at=NOW - 300), BODY),
    "another secret": (signed(BODY, secrets=[OTHER_SECRET]), BODY),
    "a body that was changed": (signed(BODY), BODY + b" "),
    "no body that none was declared for": ([JSON, *seal(BODY)], b""),
    "no headers": ([JSON], BODY),
}


@pytest.mark.parametrize(("headers", "body"), UNSUSPICIOUS.values(), ids=UNSUSPICIOUS)
def test_another_delivery_shows_nothing(headers: HeaderList, body: bytes) -> None:
    handler = make(**RIGHT)
    receive(handler, headers, body)
    assert handler.check() == []


def test_a_platform_that_ends_sooner_than_the_worker_is_a_problem() -> None:
    handler = make(timeout=60, **RIGHT)
    receive(handler, signed(BODY), BODY, time_left=20.0)
    assert handler.check() == [
        "Worker('emails') has a timeout of 60 s, and the function is ended after 20 s: give the function more "
        "time than the worker, or the worker less"
    ]


@pytest.mark.parametrize("time_left", [None, 60.0, 900.0])
def test_a_platform_that_gives_the_worker_its_time_is_not_a_problem(time_left: float | None) -> None:
    handler = make(timeout=60, **RIGHT)
    receive(handler, signed(BODY), BODY, time_left=time_left)
    assert handler.check() == []


def test_what_was_seen_is_told_once_however_often_it_was_seen() -> None:
    handler = make(timeout=60, **RIGHT)
    for left in (20.0, 10.0):
        receive(handler, signed(BODY), b"")
        receive(handler, signed(BODY, at=0), BODY)
        receive(handler, signed(BODY), BODY, time_left=left)
    assert len(handler.check()) == 3


def test_what_was_seen_is_told_after_what_is_set() -> None:
    handler = make(url=URL)
    receive(handler, signed(BODY), b"")
    missing, seen = handler.check()
    assert (missing.startswith("NEXTMQ_APP_URL is not set"), seen) == (True, BODY_READ)


MAKERS: dict[str, Callable[..., t.Any]] = {
    "ASGI": create_nextmq_handler,
    "WSGI": create_nextmq_wsgi_handler,
    "Flask": nextmq_blueprint,
    "Django": nextmq_view,
    "Lambda": lambda_handler,
}


@pytest.mark.parametrize("make_integration", MAKERS.values(), ids=MAKERS)
def test_every_integration_has_the_check(make_integration: Callable[..., t.Any]) -> None:
    integration = make_integration([Worker("emails", lambda job: None)], url=URL, app_url="http://app.example")
    assert integration.check() == SETUPS["an app over plain http"][1]
