"""What `nextmq conformance` is run against: the probe in each integration, and handlers with a hole."""

from __future__ import annotations

import functools
import typing as t

from nextmq_handler import Worker, create_nextmq_handler
from nextmq_handler.asgi import NextMQHandler
from nextmq_handler.protocol.signing import Secret
from nextmq_handler.receiver.handler import HandlerOptions
from nextmq_handler.receiver.receiver import ReadPlan, Receiver
from nextmq_handler.testing import conformance_worker

if t.TYPE_CHECKING:
    from wsgiref.types import WSGIApplication

    from fastapi import FastAPI
    from flask import Flask
    from starlette.applications import Starlette
    from starlette.types import ASGIApp, Message, Receive, Scope, Send

    from nextmq_adapters.aws_lambda import LambdaHandler
    from nextmq_handler import NextMQWSGIHandler

MOUNT = "/api/nextmq"
MAX_BODY_SIZE = 100_000
BODY_TIMEOUT = 1.0
OPTIONS: HandlerOptions = {"max_body_size": MAX_BODY_SIZE, "body_timeout": BODY_TIMEOUT}


def asgi_alone() -> NextMQHandler:
    return create_nextmq_handler([conformance_worker()], **OPTIONS)


def fastapi_mount() -> FastAPI:
    from fastapi import FastAPI

    app = FastAPI()
    app.mount(MOUNT, create_nextmq_handler([conformance_worker()], **OPTIONS))
    return app


def fastapi_router() -> FastAPI:
    from fastapi import FastAPI

    from nextmq_adapters.fastapi import nextmq_router

    app = FastAPI()
    app.include_router(nextmq_router([conformance_worker()], **OPTIONS), prefix=MOUNT)
    return app


def wsgi_alone() -> NextMQWSGIHandler:
    from nextmq_handler import create_nextmq_wsgi_handler

    return create_nextmq_wsgi_handler([conformance_worker()], **OPTIONS)


def flask_blueprint() -> Flask:
    from flask import Flask

    from nextmq_adapters.flask import nextmq_blueprint

    app = Flask(__name__)
    app.register_blueprint(nextmq_blueprint([conformance_worker()], **OPTIONS), url_prefix=MOUNT)
    return app


def django_view() -> WSGIApplication:
    from nextmq_adapters.django import nextmq_view
    from tests.conformance.integrations.wsgi import django_app

    return django_app({MOUNT: nextmq_view([conformance_worker()], **OPTIONS)})


def function(event: t.Any, context: t.Any) -> dict[str, t.Any]:
    return _function()(event, context)


@functools.cache
def _function() -> LambdaHandler:
    from nextmq_adapters.aws_lambda import lambda_handler

    return lambda_handler([conformance_worker()], **OPTIONS)


class _Unverified(Receiver):
    """Takes any signature."""

    def verify(self, plan: ReadPlan, body: bytes) -> t.Any:
        secret: Secret = self.settings.secrets[0]
        return secret


class _Timeless(Receiver):
    """Take any timestamp."""

    def __init__(self, workers: t.Iterable[Worker], **options: t.Unpack[HandlerOptions]) -> None:
        super().__init__(workers, **options)
        self._tolerance = 1e12


class _Flawed(NextMQHandler):
    """A handler with another receiver."""

    def __init__(self, receiver: type[Receiver]) -> None:
        super().__init__([conformance_worker()], **OPTIONS)
        self._receiver = receiver([conformance_worker()], **OPTIONS)


def _wrapped(
    heads: t.Callable[[list[tuple[bytes, bytes]]], list[tuple[bytes, bytes]]] = lambda headers: headers,
    answer: t.Callable[[Message], Message] = lambda message: message,
) -> ASGIApp:
    """Return a handler that gets changed heads, or whose answers are changed."""
    handler = asgi_alone()

    async def app(scope: Scope, receive: Receive, send: Send) -> None:
        async def send_changed(message: Message) -> None:
            await send(answer(message))

        await handler({**scope, "headers": heads(scope["headers"])}, receive, send_changed)

    return app


def _unsigned(message: Message) -> Message:
    kept = [(name, value) for name, value in message.get("headers", []) if name != b"x-nextmq-signature"]
    return {**message, "headers": kept} if message["type"] == "http.response.start" else message


def _faulty(message: Message) -> Message:
    return {**message, "status": 500} if message.get("status") == 400 else message


def _wordy(message: Message) -> Message:
    """Tells the caller more of a refused signature than that it was refused."""
    is_refusal = message.get("body") == b'{"error":"unauthorized"}'
    return {**message, "body": b'{"error":"no_signature"}'} if is_refusal else message


def flawed() -> Starlette:
    """Handlers with one hole each, at the path that names it; and an app that verifies nothing, at /open."""
    from starlette.applications import Starlette
    from starlette.responses import JSONResponse
    from starlette.routing import Mount

    def make(**options: t.Unpack[HandlerOptions]) -> NextMQHandler:
        merged: HandlerOptions = {**OPTIONS, **options}
        return create_nextmq_handler([conformance_worker()], **merged)

    apps: dict[str, ASGIApp] = {
        "open": JSONResponse({"ok": True}),
        "timeless": _Flawed(_Timeless),
        "unlimited": make(max_body_size=10**9),
        "patient": make(body_timeout=60.0),
        "unverified": _Flawed(_Unverified),
        "last-header": _wrapped(heads=lambda headers: list(dict(headers).items())),
        "unsigned": _wrapped(answer=_unsigned),
        "faulty": _wrapped(answer=_faulty),
        "wordy": _wrapped(answer=_wordy),
    }
    return Starlette(routes=[Mount(f"/{name}", app) for name, app in apps.items()])
