"""Making a handler: what it refuses at once, and that each option reaches the receiver."""

import asyncio
import time
import typing as t
from collections.abc import Callable
from datetime import timedelta

import pytest
from starlette.types import Message

from nextmq_adapters.aws_lambda import LambdaHandler
from nextmq_adapters.flask import NextMQBlueprint
from nextmq_handler import ConfigurationError, NextMQHandler, NextMQWSGIHandler, Worker, create_nextmq_handler
from nextmq_handler.protocol.messages import Headers, Request, Response
from nextmq_handler.protocol.signing import parse_secret
from nextmq_handler.receiver.receiver import ReadPlan, Receiver
from tests.support.handler import (
    JSON,
    NOW,
    OTHER_SECRET,
    SECRET,
    URL,
    body_of,
    call,
    delivery,
    encode,
    scope_of,
    seal,
    signed,
)

pytestmark = pytest.mark.anyio

GOOD = encode(delivery())


def failing(job: object) -> None:
    raise ValueError("no such address")


def worker(name: str = "emails") -> Worker:
    return Worker(name, failing)


@pytest.mark.parametrize(
    ("workers", "reason"),
    [
        ([], "workers is empty"),
        ([failing], "workers takes Worker objects, not function"),
        (["emails"], "workers takes Worker objects, not str"),
        ("emails", "workers takes Worker objects in a list, .*, not str"),
        (worker(), r"workers takes Worker objects in a list, .*, not one Worker\('emails'\)"),
        (None, "workers takes Worker objects in a list, .*, not NoneType"),
        ([worker(), worker()], "workers has two for queue 'emails'"),
        ([Worker("emails")], r"Worker\('emails'\) has no processor"),
    ],
    ids=["none", "a function", "a name", "a text", "one", "nothing", "two for one queue", "without a processor"],
)
def test_workers_that_cannot_be_mounted_are_refused(workers: t.Any, reason: str) -> None:
    with pytest.raises(ConfigurationError, match=rf"\A{reason}"):
        create_nextmq_handler(workers)


@pytest.mark.parametrize(
    ("argument", "value"),
    [
        ("url", "queue.example"),
        ("app_url", "app.example"),
        ("webhook_secrets", "short"),
        ("webhook_secrets", [SECRET, "short"]),
    ],
)
def test_a_setting_that_cannot_work_is_refused_by_name_when_the_handler_is_made(
    argument: str, value: t.Any
) -> None:
    with pytest.raises(ConfigurationError, match=rf"\A{argument} "):
        create_nextmq_handler([worker()], **{argument: value})


def test_a_variable_that_cannot_work_is_refused_when_the_handler_is_made(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("NEXTMQ_URL", "queue.example")
    with pytest.raises(ConfigurationError, match=r"\ANEXTMQ_URL "):
        create_nextmq_handler([worker()])


def test_a_handler_needs_no_setting_to_be_made() -> None:
    assert isinstance(create_nextmq_handler([worker()]), NextMQHandler)


@pytest.mark.parametrize("option", ["tolerance", "body_timeout"])
@pytest.mark.parametrize("value", [0, -1, timedelta(0), True, "10"])
def test_a_time_that_cannot_work_is_refused_by_name(option: str, value: t.Any) -> None:
    with pytest.raises(ConfigurationError, match=rf"\A{option} takes "):
        create_nextmq_handler([worker()], **{option: value})


CLASSES = [NextMQHandler, NextMQWSGIHandler, LambdaHandler, NextMQBlueprint]


@pytest.mark.parametrize("kind", CLASSES)
def test_a_handler_can_be_constructed_without_its_function(kind: Callable[..., t.Any]) -> None:
    handler = kind(workers=[worker()], webhook_secrets=SECRET)
    assert [secret.id for secret in handler.settings.secrets] == [parse_secret(SECRET).id]


def test_a_handler_knows_its_workers() -> None:
    workers = [worker("emails"), worker("reports")]
    assert create_nextmq_handler(iter(workers)).workers == tuple(workers)


def test_a_mounted_worker_takes_no_more_processors() -> None:
    mounted = worker()
    create_nextmq_handler([mounted])
    with pytest.raises(ConfigurationError, match="is mounted already"):
        mounted.processor("welcome")(failing)


async def answer_of(options: dict[str, t.Any], *, age: int = 0) -> tuple[int, t.Any]:
    """Return what a handler made with `options` answers a delivery signed `age` s ago."""
    app = create_nextmq_handler([worker()], **options)
    head = scope_of("/queues/emails", signed(GOOD, at=int(time.time()) - age))
    answer = await call(app, head, body_of(GOOD))
    assert answer is not None
    return answer.status, answer.json


@pytest.mark.parametrize(
    ("options", "age", "status"),
    [
        ({"webhook_secrets": SECRET}, 0, 200),
        ({"webhook_secrets": OTHER_SECRET}, 0, 401),
        ({"webhook_secrets": [OTHER_SECRET, SECRET]}, 0, 200),
        ({"url": URL}, 0, 200),
        ({"url": URL, "webhook_secrets": OTHER_SECRET}, 0, 401),
        ({"webhook_secrets": SECRET, "max_body_size": 10}, 0, 413),
        ({"webhook_secrets": SECRET}, 1000, 401),
        ({"webhook_secrets": SECRET, "tolerance": 2000}, 1000, 200),
        ({"webhook_secrets": SECRET, "tolerance": timedelta(minutes=30)}, 1000, 200),
    ],
)
async def test_an_option_reaches_the_receiver(options: dict[str, t.Any], age: int, status: int) -> None:
    assert (await answer_of(options, age=age))[0] == status


@pytest.mark.parametrize("expose_stack", [True, False])
async def test_whether_stacks_are_exposed_reaches_the_outcome(expose_stack: bool) -> None:
    _, outcome = await answer_of({"webhook_secrets": SECRET, "expose_stack": expose_stack})
    assert ("Traceback" in outcome["error"]["stack"]) is expose_stack


@pytest.mark.parametrize("body_timeout", [0.01, timedelta(milliseconds=10)])
async def test_the_body_timeout_reaches_the_receiver(body_timeout: float | timedelta) -> None:
    async def never() -> Message:
        await asyncio.Event().wait()
        raise AssertionError

    app = create_nextmq_handler([worker()], webhook_secrets=SECRET, body_timeout=body_timeout)
    answer = await call(app, scope_of("/queues/emails", signed(GOOD, at=int(time.time()))), never)
    assert answer is not None
    assert answer.status == 408


def test_a_whole_body_over_the_limit_is_refused_where_no_driver_counted_it() -> None:
    handler = Receiver([worker()], webhook_secrets=SECRET, max_body_size=len(GOOD) - 1, clock=lambda: NOW)
    plan = handler.begin(Request("POST", "/queues/emails", Headers([JSON, *seal(GOOD)])))
    assert isinstance(plan, ReadPlan)
    answer = handler.verify(plan, GOOD)
    assert isinstance(answer, Response)
    assert answer.status == 413
