"""A real server in threads of the test process: embedded Valkey, BullMQ, signed webhooks over loopback.

Enter a LiveServer in the main thread: the embedded Valkey ends with the thread that started it.
"""

from __future__ import annotations

import contextlib
import itertools
import os
import socket
import sys
import time
import typing as t
from datetime import timedelta
from pathlib import Path
from unittest import mock

from anyio.from_thread import BlockingPortal, start_blocking_portal

from nextmq_handler import Worker, _overrides, create_nextmq_handler, ensure_workers_registered
from nextmq_handler._deprecated import deprecated
from nextmq_handler.errors import NextMQError
from nextmq_handler.protocol.arguments import timeout_seconds

from ..api.app import create_app
from ..dispatch.egress.rules import EgressRules
from ..embedded import EmbeddedValkey
from ..projects.projects import new_project
from ..service import Service
from ..serving import HTTPServer, base_url, listen

_HOST = "127.0.0.1"
_COUNTED = ("waiting", "active", "delayed", "prioritized", "waiting-children")
_POLL = 0.005
_GRACE = 1.0
_SHUTDOWN_TIMEOUT = 1


class LiveServer:
    """A context manager: one server for many tests, each of which has its own project.

    Its Valkey keeps its data in `folder` and never flushes it to disk.
    """

    def __init__(self, folder: Path) -> None:
        self._valkey = EmbeddedValkey(folder, fsync="no")
        self._services: list[Service] = []
        self._numbers = itertools.count(1)
        self._stack = contextlib.ExitStack()
        self._portal: BlockingPortal
        self._url = ""

    def __enter__(self) -> t.Self:
        with contextlib.ExitStack() as stack:
            self._valkey.start()
            stack.callback(self._valkey.stop)
            self._portal = stack.enter_context(_event_loop())
            app = create_app()
            app.state.services = self._services
            listener = stack.enter_context(listen(_HOST, 0, command="live server"))
            self._url = base_url(_HOST, listener)
            stack.enter_context(_served(self._portal, app, listener))
            self._stack = stack.pop_all()
        return self

    def __exit__(self, *exc_info: object) -> None:
        self._stack.close()

    @contextlib.contextmanager
    def project(self, workers: t.Collection[Worker] = ()) -> t.Generator[LiveNextMQ]:
        """Make a new project; serve and register its workers. Until its end each Queue of this process uses it.

        Raises ConfigurationError or WorkerRegistrationError for invalid workers, NextMQError inside a LocalNextMQ.
        """
        if _overrides.server is not None:
            raise NextMQError(
                "a LocalNextMQ is active already: use either queues in process or a real server in a test"
            )
        name = f"test-{next(self._numbers)}"
        project = new_project(name, prefix=name)
        service = Service(project, self._valkey.url, alone=True, egress=EgressRules.for_development([]))
        self._portal.call(service.start)
        self._services.append(service)
        url = project.connection_string(self._url)
        try:
            with _served_workers(workers, url) as app_url, _environment(url, app_url):
                yield LiveNextMQ(url, service, self._portal)
        finally:
            self._services.remove(service)
            self._portal.call(lambda: service.stop(grace=_GRACE))


class LiveNextMQ:
    """A test's project on a live server. `url` is its connection string, and so is NEXTMQ_URL."""

    def __init__(self, url: str, service: Service, portal: BlockingPortal) -> None:
        self.url = url
        self._service = service
        self._portal = portal

    def wait_until_idle(self, timeout: float | timedelta = 30.0) -> None:
        """Wait at most `timeout` s until every job has finished, including delayed jobs and retries.

        Raises TimeoutError, which names the queues that still have jobs.
        """
        seconds = timeout_seconds("timeout", timeout)
        deadline = time.monotonic() + seconds
        while left := self._portal.call(self._open_jobs):
            if time.monotonic() > deadline:
                raise TimeoutError(f"after {seconds:g} s some jobs have not finished: {', '.join(left)}")
            time.sleep(_POLL)

    @deprecated("LiveNextMQ.drain() is now LiveNextMQ.wait_until_idle()")
    def drain(self, timeout: float | timedelta = 30.0) -> None:
        """Do the same as `wait_until_idle`, under its old name."""
        self.wait_until_idle(timeout)

    async def _open_jobs(self) -> list[str]:
        found: list[str] = []
        for queue in await self._service.queue_names():
            counts = await self._service.queues.counts(queue)
            found += [f"{queue} has {counts[state]} {state}" for state in _COUNTED if counts.get(state)]
        return found

    def __repr__(self) -> str:
        return f"<LiveNextMQ {self._service.project.name}>"


def _event_loop() -> contextlib.AbstractContextManager[BlockingPortal]:
    return start_blocking_portal(backend_options={"use_uvloop": sys.platform != "win32"})


@contextlib.contextmanager
def _served_workers(workers: t.Collection[Worker], url: str) -> t.Generator[str]:
    """Serve the workers as an app would, with a handler on its own event loop; yield its URL."""
    if not workers:
        yield f"http://{_HOST}"
        return
    with listen(_HOST, 0, command="app") as listener, _event_loop() as portal:
        app_url = base_url(_HOST, listener)
        handler = create_nextmq_handler(workers=list(workers), url=url, app_url=app_url)
        with _served(portal, handler, listener):
            ensure_workers_registered(workers, url=url, app_url=app_url)
            yield app_url


@contextlib.contextmanager
def _served(portal: BlockingPortal, app: t.Any, listener: socket.socket) -> t.Generator[None]:
    server = HTTPServer(app, shutdown_timeout=_SHUTDOWN_TIMEOUT, lifespan="auto")
    serving = portal.start_task_soon(server.serve, [listener])
    try:
        yield
    finally:
        server.should_exit = True
        serving.result()


@contextlib.contextmanager
def _environment(url: str, app_url: str) -> t.Generator[None]:
    """Point every producer of this process, however it was made, at the server of `url`."""
    variables = {"NEXTMQ_URL": url, "NEXTMQ_APP_URL": app_url}
    with mock.patch.dict(os.environ, variables), mock.patch.object(_overrides, "url", url):
        yield
