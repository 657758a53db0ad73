"""A fresh server and a fresh app, no manual call: the app registers and its first jobs complete."""

from __future__ import annotations

import contextlib
import sys
import threading
import time
import typing as t
from collections.abc import Iterator
from pathlib import Path

import pytest

from nextmq_handler import Queue, QueueJob
from nextmq_server.testing.processes import ChildProcess, free_port, start_dev_server

from .bridge import FunctionURL
from .integrations.processes import environment, start_function
from .runtime_api import RuntimeAPI

APPS = "tests.conformance.first_job_apps"
PATIENCE = 30.0
DATA = {"n": [1, None, 0.5], "text": "ä☃😀"}


class Circle:
    """A server and an app, each a process."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._stack = contextlib.ExitStack()
        self._children: list[ChildProcess] = []
        self.url = ""

    def start_server(self, app_url: str | None = None) -> None:
        """`nextmq dev`, which polls the app's health where `app_url` says so."""
        server, self.url = start_dev_server(self._folder, app_url=app_url)
        self._keep(server)

    def start_app(self, app_url: str, *arguments: str) -> None:
        """`python -m …` with the settings of this circle."""
        self._keep(ChildProcess([sys.executable, "-m", *arguments], env=self._settings(app_url)))

    def start_lambda(self, target: str) -> None:
        """Serve a function behind a URL."""
        api = RuntimeAPI()
        bridge = FunctionURL(api)
        self._stack.callback(api.stop)
        self._stack.callback(bridge.stop)
        self.start_server(bridge.url)
        child = start_function(target, api, self._settings(bridge.url))
        self._children.append(child)
        self._stack.callback(child.kill)

    def run(self, job_name: str) -> QueueJob:
        """Add a job, and wait until it has finished."""
        queue = Queue("work", url=self.url)
        job_id = queue.add(job_name, DATA).id
        deadline = time.monotonic() + PATIENCE
        while _job(queue, job_id).state not in ("completed", "failed"):
            if time.monotonic() > deadline:
                pytest.fail("".join(line for child in self._children for line in child.lines))
            threading.Event().wait(0.02)
        return _job(queue, job_id)

    def stop(self) -> None:
        self._stack.close()

    def _keep(self, child: ChildProcess) -> None:
        self._children.append(child)
        self._stack.callback(child.stop)

    def _settings(self, app_url: str) -> dict[str, str]:
        return environment({"NEXTMQ_URL": self.url, "NEXTMQ_APP_URL": app_url})


def _job(queue: Queue, job_id: str) -> QueueJob:
    job = queue.get_job(job_id)
    assert job is not None, f"job {job_id} is gone"
    return job


@pytest.fixture
def circle(tmp_path: Path) -> Iterator[Circle]:
    made = Circle(tmp_path)
    yield made
    made.stop()


def _finished(circle: Circle) -> list[tuple[str, t.Any]]:
    jobs = [circle.run(job_name) for job_name in ("def", "async def")]
    return [(job.state, job.return_value) for job in jobs]


@pytest.mark.parametrize(
    ("app", "path"), [("asgi_alone", ""), ("fastapi_mount", "/api/nextmq"), ("fastapi_router", "/api/nextmq")]
)
def test_the_first_jobs_of_an_app_under_uvicorn_complete(circle: Circle, app: str, path: str) -> None:
    port = free_port()
    circle.start_server()
    circle.start_app(
        f"http://127.0.0.1:{port}{path}", "uvicorn", "--factory", f"{APPS}:{app}", "--port", str(port)
    )
    assert _finished(circle) == [("completed", DATA), ("completed", DATA)]


@pytest.mark.parametrize(
    ("app", "path"), [("wsgi_alone", ""), ("flask_blueprint", "/api/nextmq"), ("django_view", "/api/nextmq")]
)
def test_the_first_jobs_of_an_app_under_gunicorn_complete_where_the_server_polls_its_health(
    circle: Circle, app: str, path: str
) -> None:
    port = free_port()
    app_url = f"http://127.0.0.1:{port}{path}"
    circle.start_server(app_url)
    circle.start_app(app_url, "gunicorn", f"{APPS}:{app}()", "--bind", f"127.0.0.1:{port}")
    assert _finished(circle) == [("completed", DATA), ("completed", DATA)]


def test_the_first_jobs_of_a_function_in_the_lambda_runtime_complete_where_the_server_polls_its_health(
    circle: Circle,
) -> None:
    circle.start_lambda(f"{APPS}.function")
    assert _finished(circle) == [("completed", DATA), ("completed", DATA)]
