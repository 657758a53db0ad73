"""Flask: hooks that read a delivery's body before the view, and the request that registers the workers."""

from __future__ import annotations

import io
import typing as t
from collections.abc import Callable, Iterator
from wsgiref.types import WSGIApplication, WSGIEnvironment

import pytest
from flask import Flask, Response, request

from nextmq_adapters.flask import NextMQBlueprint, nextmq_blueprint
from nextmq_handler import Worker
from nextmq_handler.receiver.checks import BODY_READ
from tests.adapters.servers import SERVERS, Server
from tests.conformance.integrations.wsgi import WSGIIntegration
from tests.support.handler import APP_URL, NOW, SECRET, URL, delivery, encode, signed

GOOD = encode(delivery())
PATH = "/api/nextmq/queues/emails"
Hook = Callable[[], object]


def blueprint(**options: t.Any) -> NextMQBlueprint:
    options = {"url": URL, "app_url": APP_URL, "webhook_secrets": SECRET, "clock": lambda: float(NOW), **options}
    return nextmq_blueprint([Worker("emails", lambda job: "done")], **options)


KEEPING: dict[str, Hook] = {
    "nothing": lambda: None,
    "get_data": lambda: request.get_data(),
    "get_data as text": lambda: request.get_data(as_text=True),
    "get_data, twice": lambda: (request.get_data(), request.get_data()),
    "data": lambda: request.data,
    "get_json": lambda: request.get_json(),
    "get_json, silent": lambda: request.get_json(silent=True),
    "json": lambda: request.json,
    "form": lambda: request.form,
    "files": lambda: request.files,
    "values": lambda: request.values,
    "data and form": lambda: (request.get_data(), request.form),
    "form and data": lambda: (request.form, request.get_data()),
    "form data through get_data": lambda: request.get_data(parse_form_data=True),
    "touching the stream": lambda: request.stream,
    "replacing the input": lambda: request.environ.update(
        {"wsgi.input": io.BytesIO(request.environ["wsgi.input"].read(len(GOOD)))}
    ),
}
"""What hooks do that leaves the body to the view."""

EATING: dict[str, Hook] = {
    "get_data without the cache": lambda: request.get_data(cache=False),
    "get_json without the cache": lambda: request.get_json(cache=False),
    "the stream": lambda: request.stream.read(),
    "a part of the stream": lambda: request.stream.read(9),
    "a line of the stream": lambda: request.stream.readline(),
    "the stream, line by line": lambda: list(request.stream),
    "the input": lambda: request.environ["wsgi.input"].read(len(GOOD)),
    "replacing the input by an empty one": lambda: request.environ.update({"wsgi.input": io.BytesIO()}),
}
"""What hooks do that leaves the view nothing, or a part."""


def app_with(hook: Hook, where: str = "app", **options: t.Any) -> tuple[Flask, NextMQBlueprint]:
    """Return an app whose hook reads bodies: registered by the app, the blueprint or a middleware around it."""
    app, handler = Flask(__name__), blueprint(**options)

    def before_request() -> None:
        hook()

    if where == "blueprint":
        handler.before_request(before_request)
    else:
        app.before_request(before_request)
    app.register_blueprint(handler, url_prefix="/api/nextmq")
    return app, handler


@pytest.fixture(params=SERVERS)
def server(request: pytest.FixtureRequest) -> Iterator[Server]:
    with SERVERS[request.param]() as started:
        yield started


@pytest.mark.parametrize("where", ["app", "blueprint"])
@pytest.mark.parametrize("hook", KEEPING)
def test_a_job_runs_behind_a_hook_that_leaves_the_body(server: Server, hook: str, where: str) -> None:
    app, _ = app_with(KEEPING[hook], where)
    assert server.post(app, PATH, signed(GOOD), GOOD).status == 200


@pytest.mark.parametrize("hook", EATING)
def test_a_body_that_a_hook_ate_uses_no_attempt_and_is_named(server: Server, hook: str) -> None:
    app, handler = app_with(EATING[hook], body_timeout=0.2)
    assert (server.post(app, PATH, signed(GOOD), GOOD).status, handler.check()) == (408, [BODY_READ])


def test_a_body_over_the_apps_own_limit_is_the_handlers_to_judge(server: Server) -> None:
    app, _ = app_with(lambda: None)
    app.config["MAX_CONTENT_LENGTH"] = 10
    assert server.post(app, PATH, signed(GOOD), GOOD).status == 200


def answer() -> Response:
    return Response("a hook's own answer", 401)


def redirected() -> Response:
    return Response(status=302, headers={"location": "/login"})


def failing() -> t.NoReturn:
    raise RuntimeError("a hook that fails")


@pytest.mark.parametrize("path", ["/page", "/nowhere", "/static/nothing.css", "/api/nextmq/health", PATH])
@pytest.mark.parametrize("hook", [None, answer, redirected, failing])
def test_the_first_request_of_any_kind_registers_the_workers(
    hook: t.Any, path: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    app, handler = Flask(__name__), blueprint()
    app.add_url_rule("/page", view_func=lambda: "a page", endpoint="page")
    if hook is not None:
        app.before_request(hook)
    app.register_blueprint(handler, url_prefix="/api/nextmq")
    started: list[str] = []
    monkeypatch.setattr(handler._driver.registrar, "start_once", lambda: started.append(path))
    WSGIIntegration(app).send("GET", path, [], b"")
    assert started[:1] == [path]


def test_the_requests_of_another_app_register_nothing(monkeypatch: pytest.MonkeyPatch) -> None:
    app, handler, other = Flask(__name__), blueprint(), Flask("other")
    app.register_blueprint(handler)
    started: list[str] = []
    monkeypatch.setattr(handler._driver.registrar, "start_once", lambda: started.append("other"))
    WSGIIntegration(other).send("GET", "/", [], b"")
    assert started == []


def test_wsgi_middleware_that_ate_a_body_is_named(server: Server) -> None:
    app, handler = app_with(lambda: None, body_timeout=0.2)

    def middleware(environ: WSGIEnvironment, start_response: t.Any) -> t.Iterable[bytes]:
        environ["wsgi.input"].read(len(GOOD))
        return t.cast("WSGIApplication", app)(environ, start_response)

    assert (server.post(middleware, PATH, signed(GOOD), GOOD).status, handler.check()) == (408, [BODY_READ])
