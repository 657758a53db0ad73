"""deliver and adeliver: a signed delivery through each integration, and ways to spoil it."""

from __future__ import annotations

import asyncio
import threading
import typing as t
import warnings

import pytest
from fastapi import FastAPI
from flask import Flask
from starlette.applications import Starlette
from starlette.routing import Mount

from nextmq_adapters.aws_lambda import lambda_handler
from nextmq_adapters.django import nextmq_view
from nextmq_adapters.fastapi import nextmq_router
from nextmq_adapters.flask import nextmq_blueprint
from nextmq_handler import (
    AsyncJob,
    ConfigurationError,
    Job,
    Worker,
    _overrides,
    create_nextmq_handler,
    create_nextmq_wsgi_handler,
)
from nextmq_handler.protocol.signing import SignatureError
from nextmq_handler.testing import Answer, adeliver, deliver, make_job
from tests.conformance.integrations.wsgi import django_app
from tests.support.handler import APP_URL, OTHER_SECRET, SECRET, URL

pytestmark = pytest.mark.anyio

JOB = make_job({"n": 1}, name="def", queue_name="emails")
ASYNC_JOB = make_job({"n": 1}, name="async def", queue_name="emails")

emails = Worker("emails")


@emails.processor("def")
def process(job: Job) -> t.Any:
    return job.data["n"]


@emails.processor("async def")
async def async_process(job: AsyncJob) -> t.Any:
    return job.data["n"]


def fastapi_mount() -> FastAPI:
    app = FastAPI()
    app.mount("/api/nextmq", create_nextmq_handler([emails]))
    return app


def fastapi_router() -> FastAPI:
    app = FastAPI()
    app.include_router(nextmq_router([emails]), prefix="/api/nextmq")
    return app


def flask() -> Flask:
    app = Flask(__name__)
    app.register_blueprint(nextmq_blueprint([emails]), url_prefix="/api/nextmq")
    return app


def function() -> t.Callable[..., t.Any]:
    handler = lambda_handler([emails])

    def function(event: t.Any, context: t.Any) -> t.Any:
        return handler(event, context)

    return function


INTEGRATIONS: dict[str, t.Callable[[], t.Any]] = {
    "ASGI handler": lambda: create_nextmq_handler([emails]),
    "Starlette": lambda: Starlette(routes=[Mount("/api/nextmq", create_nextmq_handler([emails]))]),
    "FastAPI mount": fastapi_mount,
    "FastAPI router": fastapi_router,
    "WSGI handler": lambda: create_nextmq_wsgi_handler([emails]),
    "Flask": flask,
    "Django": lambda: django_app({"/api/nextmq": nextmq_view([emails])}),
    "Lambda handler": lambda: lambda_handler([emails]),
    "Lambda function": function,
}
every_integration = pytest.mark.parametrize("make", INTEGRATIONS.values(), ids=INTEGRATIONS)


@pytest.fixture(autouse=True)
def _settings(_no_settings_in_the_environment: None, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("NEXTMQ_URL", URL)
    monkeypatch.setenv("NEXTMQ_APP_URL", APP_URL)


@pytest.mark.parametrize("job", [JOB, ASYNC_JOB], ids=["def", "async def"])
@every_integration
def test_a_delivery_is_run(make: t.Callable[[], t.Any], job: t.Any) -> None:
    assert deliver(make(), job).outcome.value == 1


@pytest.mark.parametrize("job", [JOB, ASYNC_JOB], ids=["def", "async def"])
@every_integration
async def test_a_delivery_is_run_from_a_loop(make: t.Callable[[], t.Any], job: t.Any) -> None:
    assert (await adeliver(make(), job)).outcome.value == 1


async def test_deliver_works_where_a_loop_is_running() -> None:
    assert deliver(create_nextmq_handler([emails]), ASYNC_JOB).outcome.value == 1


async def test_adeliver_awaits_a_processor_on_the_loop_of_the_test() -> None:
    worker, loops = Worker("emails"), []

    @worker.processor
    async def process(job: AsyncJob) -> None:
        loops.append(asyncio.get_running_loop())

    await adeliver(create_nextmq_handler([worker]), JOB)
    assert loops == [asyncio.get_running_loop()]


@every_integration
def test_a_delivery_under_a_secret_of_nobodys_is_refused(make: t.Callable[[], t.Any]) -> None:
    answer = deliver(make(), JOB, sign_with=OTHER_SECRET)
    assert (answer.status, answer.error) == (401, "unauthorized")


@every_integration
def test_an_old_delivery_is_refused(make: t.Callable[[], t.Any]) -> None:
    answer = deliver(make(), JOB, timestamp=1_700_000_000)
    assert (answer.status, answer.error) == (401, "unauthorized")


@every_integration
def test_a_body_that_was_changed_on_its_way_is_refused(make: t.Callable[[], t.Any]) -> None:
    answer = deliver(make(), JOB, mutate=lambda body: body.replace(b'"n":1', b'"n":2'))
    assert (answer.status, answer.error) == (401, "unauthorized")


@every_integration
def test_a_delivery_registers_nothing(make: t.Callable[[], t.Any]) -> None:
    deliver(make(), JOB)
    assert "nextmq-registrar" not in {thread.name for thread in threading.enumerate()}


def test_registrations_go_on_after_a_delivery() -> None:
    deliver(create_nextmq_wsgi_handler([emails]), JOB)
    assert not _overrides.registration_paused.get()


def test_a_delivery_may_bear_several_signatures() -> None:
    handler = create_nextmq_handler([emails], webhook_secrets=SECRET)
    assert deliver(handler, JOB, sign_with=[OTHER_SECRET, SECRET]).outcome.completed


def test_a_handler_is_signed_for_with_its_own_secret(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("NEXTMQ_URL")
    assert deliver(lambda_handler([emails], webhook_secrets=OTHER_SECRET), JOB).outcome.completed


def test_a_mount_can_be_named(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("NEXTMQ_APP_URL")
    assert deliver(flask(), JOB, path="/api/nextmq").outcome.completed


def test_a_mount_that_is_not_known_is_told(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("NEXTMQ_APP_URL")
    with pytest.raises(ConfigurationError, match="pass path="):
        deliver(flask(), JOB)


def test_a_secret_that_is_not_known_is_told(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("NEXTMQ_URL")
    with pytest.raises(ConfigurationError, match="sign_with="):
        deliver(flask(), JOB)


def test_what_takes_no_request_is_told() -> None:
    with pytest.raises(ConfigurationError, match="not to a NextMQBlueprint"):
        deliver(nextmq_blueprint([emails]), JOB)


def test_a_function_of_one_argument_is_told() -> None:
    with pytest.raises(ConfigurationError, match="this takes event"):
        deliver(lambda event: event, JOB)


def test_an_integration_that_its_arguments_do_not_tell_can_be_named() -> None:
    handler = create_nextmq_wsgi_handler([emails])
    assert deliver(lambda env, start: handler(env, start), JOB, integration="wsgi", path="").outcome.completed


def test_an_integration_can_still_be_named_by_the_old_keyword() -> None:
    handler = create_nextmq_wsgi_handler([emails])
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", DeprecationWarning)  # once in a process
        assert deliver(lambda env, start: handler(env, start), JOB, home="wsgi", path="").outcome.completed


def test_an_answer_of_another_app_has_no_code() -> None:
    answer = deliver(FastAPI(), JOB)
    assert (answer.status, answer.error) == (404, None)


def test_a_refusal_has_no_outcome_and_says_why() -> None:
    answer = deliver(create_nextmq_handler([emails]), make_job(None, queue_name="nobody"))
    with pytest.raises(AssertionError, match="answered with 404 'not_found'"):
        _ = answer.outcome


async def _forging(scope: t.Any, receive: t.Any, send: t.Any) -> None:
    await send({"type": "http.response.start", "status": 200, "headers": []})
    await send({"type": "http.response.body", "body": b'{"outcome":"completed"}'})


def test_a_200_without_a_signature_is_no_outcome() -> None:
    with pytest.raises(SignatureError, match="header_missing"):
        deliver(_forging, JOB)


@pytest.mark.parametrize(
    ("target", "shown"),
    [
        (create_nextmq_handler([emails], webhook_secrets=SECRET), "<Answer 200 <JobOutcome completed: 1>>"),
        (create_nextmq_handler([Worker("x", print)], webhook_secrets=SECRET), "<Answer 404 'not_found'>"),
    ],
)
def test_an_answer_shows_what_it_is(target: t.Any, shown: str) -> None:
    answer: Answer = deliver(target, JOB)
    assert repr(answer) == shown
