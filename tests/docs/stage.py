"""The stage for a page's code: `nextmq dev`, and a server for the app that the page shows."""

from __future__ import annotations

import contextlib
import threading
import time
import typing as t
from wsgiref.simple_server import WSGIRequestHandler, make_server

import httpx
import uvicorn
from starlette.applications import Starlette
from starlette.routing import Mount

from nextmq_adapters.aws_lambda import LambdaHandler
from nextmq_handler import NextMQ, NextMQHandler, Queue, Worker, create_nextmq_handler, unregister_workers
from nextmq_server.testing.processes import ChildProcess, free_port

from .lambda_url import function_url

PATIENCE = 60.0
MOUNT = "/api/nextmq"


class Stage:
    """A running `nextmq dev` for one page, and a server for one app."""

    def __init__(self, server: ChildProcess, url: str) -> None:
        self.url = url
        self._server = server
        self._lines_before = len(server.lines)
        self._port = free_port()
        self._app = contextlib.ExitStack()
        self.app_url = f"http://127.0.0.1:{self._port}{MOUNT}"

    def serve(self, *shown: t.Any) -> str:
        """Serve an app, a handler, a function or workers instead of the former one; return its address."""
        self._app.close()
        app = _as_app(shown)
        if isinstance(app, Starlette):
            self._app.enter_context(_uvicorn(app, self._port))
        else:
            self._app.enter_context(_wsgiref(app, self._port))
        # A WSGI or Lambda app registers with its first request.
        httpx.get(f"{self.app_url}/health").raise_for_status()
        return f"http://127.0.0.1:{self._port}"

    def run(self, queue: str, name: str, data: t.Any = None, **opts: t.Any) -> t.Any:
        """Add a job; return its return value."""
        return Queue(queue).add(name, data, **opts).wait_until_finished(timeout=PATIENCE)

    def delivery(self, job: str) -> str:
        """Return the line that the server printed about the first delivery of `job` (name#id)."""

        def lines() -> list[str]:
            return [line for line in self._server.lines[self._lines_before :] if f" {job} " in line]

        self.eventually(lambda: bool(lines()), f"a delivery of {job}")
        return lines()[0]

    def eventually(self, condition: t.Callable[[], bool], what: str) -> None:
        """Wait until the condition is true; fail with `what` if it stays false."""
        deadline = time.monotonic() + PATIENCE
        while not condition():
            assert time.monotonic() < deadline, f"not within {PATIENCE:g} s: {what}"
            time.sleep(0.05)

    def clear(self) -> None:
        """Stop the app, and remove every worker and job from the server."""
        self._app.close()
        names = [view.name for view in NextMQ(self.url).queues()]
        unregister_workers([Worker(name, lambda job: None) for name in names], url=self.url)
        for name in names:
            queue = Queue(name, url=self.url)
            for scheduler in queue.get_job_schedulers():
                queue.remove_job_scheduler(scheduler.id)
            queue.obliterate(force=True)


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
