"""An app of two versions, in each integration. VERSION says which one a process is."""

from __future__ import annotations

import os
import typing as t

from nextmq_handler import Job, Worker
from nextmq_handler.registration import registrar

if t.TYPE_CHECKING:
    from flask import Flask
    from starlette.applications import Starlette

VERSION = os.environ.get("VERSION", "")
if VERSION:  # an app, which asks as often as it may: the test has no minute
    registrar.REASSERT_INTERVAL = 0.0


def worker(version: str) -> Worker:
    """Return the worker of a version: its options, its schedule and its schemas have the version's number."""
    from nextmq_handler import Every

    emails = Worker("emails", concurrency=int(version), schedules=[Every(f"s{version}", 3_600_000)])

    @emails.processor
    def answer(job: Job[object]) -> str:
        return version

    @emails.processor(f"j{version}")
    def typed(job: Job[int]) -> str:
        return version

    return emails


def asgi() -> Starlette:
    """For uvicorn."""
    from starlette.applications import Starlette
    from starlette.routing import Mount

    from nextmq_handler import create_nextmq_handler

    handler = create_nextmq_handler([worker(VERSION)])
    return Starlette(routes=[Mount("/nextmq", handler)], lifespan=handler.lifespan)


def flask() -> Flask:
    """For gunicorn."""
    from flask import Flask

    from nextmq_adapters.flask import nextmq_blueprint

    app = Flask(__name__)
    app.register_blueprint(nextmq_blueprint([worker(VERSION)]), url_prefix="/nextmq")
    return app


def django() -> t.Any:
    """For gunicorn."""
    from nextmq_adapters.django import nextmq_view
    from tests.conformance.integrations.wsgi import django_app

    return django_app({"/nextmq": nextmq_view([worker(VERSION)])})


if os.environ.get("AWS_LAMBDA_RUNTIME_API"):
    from nextmq_adapters.aws_lambda import lambda_handler

    function = lambda_handler([worker(VERSION)])
