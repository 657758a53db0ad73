"""Apps as a user writes them, one for each integration: one worker, settings from the environment alone."""

from __future__ import annotations

import functools
import typing as t

from nextmq_handler import AsyncJob, Job, Worker

if t.TYPE_CHECKING:
    from wsgiref.types import WSGIApplication

    from fastapi import FastAPI
    from flask import Flask

    from nextmq_adapters.aws_lambda import LambdaHandler
    from nextmq_handler import NextMQHandler
    from nextmq_handler.wsgi import NextMQWSGIHandler


def make_worker() -> Worker:
    """Return the worker of queue `work`. It returns its data."""
    worker = Worker("work", timeout=20)

    @worker.processor("def")
    def echo(job: Job[t.Any]) -> t.Any:
        return job.data

    @worker.processor("async def")
    async def async_echo(job: AsyncJob[t.Any]) -> t.Any:
        return job.data

    return worker


def asgi_alone() -> NextMQHandler:
    from nextmq_handler import create_nextmq_handler

    return create_nextmq_handler([make_worker()])


def fastapi_mount() -> FastAPI:
    from fastapi import FastAPI

    from nextmq_handler import create_nextmq_handler

    handler = create_nextmq_handler([make_worker()])
    app = FastAPI(lifespan=handler.lifespan)
    app.mount("/api/nextmq", handler)
    return app


def fastapi_router() -> FastAPI:
    from fastapi import FastAPI

    from nextmq_adapters.fastapi import nextmq_router

    app = FastAPI()
    app.include_router(nextmq_router([make_worker()]), prefix="/api/nextmq")
    return app


def wsgi_alone() -> NextMQWSGIHandler:
    from nextmq_handler.wsgi import create_nextmq_wsgi_handler

    return create_nextmq_wsgi_handler([make_worker()])


def flask_blueprint() -> Flask:
    from flask import Flask

    from nextmq_adapters.flask import nextmq_blueprint

    app = Flask(__name__)
    app.register_blueprint(nextmq_blueprint([make_worker()]), url_prefix="/api/nextmq")
    return app


def django_view() -> WSGIApplication:
    import django
    from django.conf import settings
    from django.core.wsgi import get_wsgi_application
    from django.urls import path

    from nextmq_adapters.django import nextmq_view

    urls = (path("api/nextmq/<path:path>", nextmq_view([make_worker()])),)
    settings.configure(ALLOWED_HOSTS=["127.0.0.1"], ROOT_URLCONF=urls)
    django.setup()
    return t.cast("WSGIApplication", get_wsgi_application())


def function(event: t.Any, context: t.Any) -> dict[str, t.Any]:
    return _function()(event, context)


@functools.cache
def _function() -> LambdaHandler:
    from nextmq_adapters.aws_lambda import lambda_handler

    return lambda_handler([make_worker()])
