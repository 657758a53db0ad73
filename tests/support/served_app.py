"""One app at a time on a port of its own, of whatever framework."""

from __future__ import annotations

import contextlib
import threading
import time
import typing as t
from wsgiref.simple_server import WSGIRequestHandler, make_server

import uvicorn
from starlette.applications import Starlette
from starlette.routing import Mount

from nextmq_adapters.aws_lambda import LambdaHandler
from nextmq_handler import NextMQHandler, Worker, create_nextmq_handler
from nextmq_server.testing.processes import free_port

from .lambda_url import function_url

PATIENCE = 60.0
MOUNT = "/api/nextmq"


class ServedApp:
    """A port, and the app that listens there."""

    def __init__(self) -> None:
        self._port = free_port()
        self._app = contextlib.ExitStack()
        self.address = f"http://127.0.0.1:{self._port}"
        self.app_url = f"{self.address}{MOUNT}"

    def serve(self, *shown: t.Any) -> None:
        """Serve an app, a handler, a function or workers instead of the former one."""
        self.close()
        app = _as_app(shown)
        if isinstance(app, Starlette):
            self._app.enter_context(_uvicorn(app, self._port))
        else:
            self._app.enter_context(_wsgiref(app, self._port))

    def close(self) -> None:
        """Stop the app."""
        self._app.close()


def _as_app(shown: tuple[t.Any, ...]) -> t.Any:
    if all(isinstance(one, Worker) for one in shown):
        shown = (create_nextmq_handler(workers=shown),)
    (app,) = shown
    if isinstance(app, NextMQHandler):
        return Starlette(routes=[Mount(MOUNT, app)], lifespan=app.lifespan)
    return function_url(app) if isinstance(app, LambdaHandler) else app


@contextlib.contextmanager
def _uvicorn(app: Starlette, port: int) -> t.Iterator[None]:
    server = uvicorn.Server(uvicorn.Config(app, port=port, log_config=None, ws="none"))
    thread = threading.Thread(target=server.run)
    thread.start()
    deadline = time.monotonic() + PATIENCE
    while not server.started:
        assert thread.is_alive(), "the app did not start"
        assert time.monotonic() < deadline, "the app does not serve"
        time.sleep(0.01)
    yield
    server.should_exit = True
    thread.join()


@contextlib.contextmanager
def _wsgiref(app: t.Any, port: int) -> t.Iterator[None]:
    server = make_server("127.0.0.1", port, app, handler_class=_Silent)
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01})
    thread.start()
    yield
    server.shutdown()
    server.server_close()
    thread.join()


class _Silent(WSGIRequestHandler):
    def log_message(self, format: str, *args: object) -> None:
        """Log nothing."""
