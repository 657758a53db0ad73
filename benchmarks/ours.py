"""The library in each integration, with a processor that does nothing."""

from __future__ import annotations

import contextlib
import http.server
import threading
import typing as t
from collections.abc import Iterator

import flask
from fastapi import FastAPI
from starlette.applications import Starlette
from starlette.routing import Mount

from nextmq_adapters.aws_lambda import LambdaHandler, lambda_handler
from nextmq_adapters.fastapi import nextmq_router
from nextmq_adapters.flask import nextmq_blueprint
from nextmq_handler import AsyncJob, Job, NextMQHandler, Worker, create_nextmq_handler
from nextmq_handler.registration import fingerprint
from nextmq_handler.settings import load_settings

from .deliveries import APP_URL, MOUNT, QUEUE, SECRET


def process(job: Job[t.Any]) -> dict[str, bool]:
    return {"ok": True}


async def aprocess(job: AsyncJob[t.Any]) -> dict[str, bool]:
    return {"ok": True}


class _TakesAnyRegistration(http.server.BaseHTTPRequestHandler):
    def do_PUT(self) -> None:
        self.rfile.read(int(self.headers["content-length"]))
        self.send_response(200)
        self.send_header("content-length", "2")
        self.end_headers()
        self.wfile.write(b"{}")

    def log_message(self, format: str, *args: object) -> None:
        return


@contextlib.contextmanager
def queue_server() -> Iterator[str]:
    """Yield the URL of a server that accepts every registration, so that none is retried during the run."""
    server = http.server.HTTPServer(("127.0.0.1", 0), _TakesAnyRegistration)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    try:
        yield f"nextmq+http://nmq_key_of_the_benchmarks:{SECRET}@127.0.0.1:{server.server_port}/bench"
    finally:
        server.shutdown()
        server.server_close()


def wait_for_registrations() -> None:
    """Wait for the registrations that run beside the first requests, so that they are not measured with them."""
    for thread in threading.enumerate():
        if thread.name == "nextmq-registrar":
            thread.join()


def registered_fingerprint(url: str) -> str:
    """Return the fingerprint that the server sends in a delivery to these apps."""
    return fingerprint(Worker(QUEUE, process), load_settings(url=url, app_url=APP_URL))


def asgi_app(url: str) -> NextMQHandler:
    return create_nextmq_handler([Worker(QUEUE, aprocess)], url=url, app_url=APP_URL)


def starlette_app(url: str) -> Starlette:
    return Starlette(routes=[Mount(MOUNT, asgi_app(url))])


def fastapi_mount(url: str) -> FastAPI:
    app = FastAPI()
    app.mount(MOUNT, asgi_app(url))
    return app


def fastapi_router(url: str) -> FastAPI:
    app = FastAPI()
    app.include_router(nextmq_router([Worker(QUEUE, aprocess)], url=url, app_url=APP_URL), prefix=MOUNT)
    return app


def flask_app(url: str) -> flask.Flask:
    app = flask.Flask("ours")
    app.register_blueprint(nextmq_blueprint([Worker(QUEUE, process)], url=url, app_url=APP_URL), url_prefix=MOUNT)
    return app


def lambda_app(url: str) -> LambdaHandler:
    return lambda_handler([Worker(QUEUE, process)], url=url, app_url=APP_URL)
