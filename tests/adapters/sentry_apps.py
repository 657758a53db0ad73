"""A FastAPI, a Flask and a Lambda app in a process that has called `sentry_sdk.init`: it prints what Sentry hears.

A process of its own, because Sentry's SDK changes the frameworks that it finds.
"""

from __future__ import annotations

import base64
import json
import time
import typing as t

import sentry_sdk
from fastapi import FastAPI
from fastapi.testclient import TestClient
from flask import Flask
from sentry_sdk.envelope import Envelope
from sentry_sdk.transport import Transport

from nextmq_adapters.aws_lambda import lambda_handler
from nextmq_adapters.flask import nextmq_blueprint
from nextmq_handler import AsyncJob, Job, Worker, _overrides
from nextmq_handler.asgi import NextMQHandler
from tests.support.handler import APP_URL, SECRET, URL, delivery, encode, signed

PATH = "/api/nextmq/queues/emails"


class Captured(Transport):
    """Keeps the events instead of sending them."""

    events: t.ClassVar[list[t.Any]] = []

    def capture_envelope(self, envelope: Envelope) -> None:
        event = envelope.get_event()
        if event is not None:
            self.events.append(event)


emails = Worker("emails")


@emails.processor("def")
def in_thread(job: Job) -> None:
    raise ValueError("no such address")


@emails.processor("async")
async def on_loop(job: AsyncJob) -> None:
    raise ValueError("no such address")


def request(name: str, attempts_made: int) -> tuple[bytes, dict[str, str]]:
    """Return the body and headers of a delivery of the job's attempt; it may use two."""
    job = {"name": name, "opts": {"attempts": 2}, "attemptsMade": attempts_made}
    body = encode(delivery(job=job))
    return body, {key.decode(): value.decode() for key, value in signed(body, at=int(time.time()))}


def event_of(body: bytes, headers: dict[str, str]) -> dict[str, t.Any]:
    """Return a request as a function URL's event."""
    return {
        "version": "2.0",
        "rawPath": PATH,
        "headers": headers,
        "requestContext": {"http": {"method": "POST", "path": PATH}, "stage": "$default"},
        "body": base64.b64encode(body).decode(),
        "isBase64Encoded": True,
    }


def main() -> None:
    """Print, for each framework and kind of processor, the events of a first and a last attempt."""
    sentry_sdk.init(dsn="https://key@sentry.example/1", transport=Captured)
    options: t.Any = {"url": URL, "app_url": APP_URL, "webhook_secrets": SECRET}
    _overrides.registration_paused.set(True)

    fastapi = FastAPI()
    fastapi.mount("/api/nextmq", NextMQHandler([emails], **options))
    fastapi_client = TestClient(fastapi)
    flask = Flask(__name__)
    flask.register_blueprint(nextmq_blueprint([emails], **options), url_prefix="/api/nextmq")
    flask_client = flask.test_client()
    function = lambda_handler([emails], **options)

    def in_lambda(body: bytes, headers: dict[str, str]) -> int:
        return int(function(event_of(body, headers), t.cast("t.Any", None))["statusCode"])

    apps: dict[str, t.Callable[[bytes, dict[str, str]], int]] = {
        "fastapi": lambda body, headers: fastapi_client.post(PATH, content=body, headers=headers).status_code,
        "flask": lambda body, headers: flask_client.post(PATH, data=body, headers=headers).status_code,
        "lambda": in_lambda,
    }
    for app, post in apps.items():
        for name in ("def", "async"):
            Captured.events.clear()
            statuses = [post(*request(name, attempts_made)) for attempts_made in (0, 1)]
            print(json.dumps({"app": app, "job": name, "statuses": statuses, "events": summary()}))


def summary() -> list[dict[str, t.Any]]:
    """Return the events' exceptions, functions that raised, levels and tags."""
    return [
        {
            "level": event["level"],
            "exceptions": [one["type"] for one in event["exception"]["values"]],
            "function": event["exception"]["values"][-1]["stacktrace"]["frames"][-1]["function"],
            "tags": event.get("tags"),
        }
        for event in Captured.events
    ]


main()
