"""The stage for a page's code: `nextmq dev`, and a server for the app that the page shows."""

from __future__ import annotations

import time
import typing as t

import httpx

from nextmq_handler import NextMQ, Queue, Worker, unregister_workers
from nextmq_server.testing.processes import ChildProcess
from tests.support.served_app import PATIENCE, ServedApp


class Stage:
    """A running `nextmq dev` for one page, and a server for one app."""

    def __init__(self, server: ChildProcess, url: str) -> None:
        self.url = url
        self._server = server
        self._lines_before = len(server.lines)
        self._app = ServedApp()
        self.app_url = self._app.app_url

    def serve(self, *shown: t.Any) -> str:
        """Serve an app, a handler, a function or workers instead of the former one; return its address."""
        self._app.serve(*shown)
        # A WSGI or Lambda app registers with its first request.
        httpx.get(f"{self.app_url}/health").raise_for_status()
        return self._app.address

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
