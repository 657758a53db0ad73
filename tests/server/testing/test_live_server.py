"""A real server in the test process, with a new project for each test."""

from __future__ import annotations

import os
import threading
import typing as t

import pytest

from nextmq_handler import AsyncJob, Job, Queue, Worker
from nextmq_server.testing.live import LiveServer

queue = Queue("letters")  # made once, as in an app; still, each test has its own project

letters = Worker("letters")


@letters.processor("render")
def render(job: Job[str]) -> str:
    if job.attempts_made == 0:
        raise ConnectionError("not yet")
    return f"Dear {job.data}"


@letters.processor("send")
async def send(job: AsyncJob[str]) -> str:
    await job.update_progress(100)
    return job.data


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> t.Iterator[LiveServer]:
    with LiveServer(tmp_path_factory.mktemp("live")) as live:
        yield live


def test_an_idle_project_has_retried_what_failed(server: LiveServer) -> None:
    with server.project([letters]) as project:
        job = queue.add("render", "Ada", attempts=2, backoff=20)
        project.wait_until_idle()
        assert job.wait_until_finished() == "Dear Ada"


def test_an_async_processor_may_call_the_server(server: LiveServer) -> None:
    with server.project([letters]) as project:
        job = queue.add("send", "a letter")
        project.wait_until_idle()
        job.refresh()
        assert (job.return_value, job.progress) == ("a letter", 100)


def test_a_project_has_no_job_of_another(server: LiveServer) -> None:
    with server.project():
        queue.add("render", "Ada")
    with server.project():
        assert queue.get_jobs() == []


def test_a_project_ends_while_a_processor_hangs(server: LiveServer) -> None:
    begun, let_go, ended = threading.Event(), threading.Event(), threading.Event()

    def hang(job: Job[None]) -> None:
        begun.set()
        let_go.wait(60)
        ended.set()

    with server.project([Worker("letters", hang)]):
        queue.add("render")
        assert begun.wait(30)
    assert not ended.is_set()
    let_go.set()


def test_waiting_in_vain_names_the_queues_with_jobs(server: LiveServer) -> None:
    with server.project() as project:
        queue.add("render", "Ada")
        queue.add("render", "Bob", delay=60_000)
        with pytest.raises(TimeoutError, match=r"after 0\.01 s .*: letters has 1 waiting, letters has 1 delayed$"):
            project.wait_until_idle(timeout=0.01)


def test_the_environment_names_the_server_only_while_it_is_there(server: LiveServer) -> None:
    before = os.environ.get("NEXTMQ_URL")
    with server.project() as project:
        during = os.environ["NEXTMQ_URL"]
    assert (during, os.environ.get("NEXTMQ_URL")) == (project.url, before)


def test_a_project_shows_no_secret(server: LiveServer) -> None:
    with server.project() as project:
        assert repr(project).startswith("<LiveNextMQ test-")


def test_the_old_name_of_waiting_names_the_new_one(server: LiveServer) -> None:
    with server.project() as project, pytest.warns(DeprecationWarning, match=r"now LiveNextMQ\.wait_until_idle"):
        project.drain()
