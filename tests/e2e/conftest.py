"""Real processes for end-to-end tests: `nextmq dev` and an app under uvicorn."""

from __future__ import annotations

import sys
import time
import typing as t
from pathlib import Path

import pytest

from nextmq_handler import Queue, QueueJob
from nextmq_server.testing.processes import ChildProcess, free_port, start_dev_server

HERE = Path(__file__).parent


class Circle:
    """A server and its app, which a test may kill and start again."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.data_dir = folder / "data"
        self.server_port = free_port()
        self.app_port = free_port()
        self.url = ""
        self._children: list[ChildProcess] = []

    @property
    def redis_socket(self) -> Path:
        return self.data_dir / "valkey" / "valkey.sock"

    @property
    def go(self) -> Path:
        """The file whose creation lets waiting processors return."""
        return self.folder / "go"

    def starts(self) -> list[str]:
        """Return the ids of the started jobs, in order; concurrent jobs start in any order."""
        log = self.folder / "starts"
        return log.read_text().split() if log.exists() else []

    def start_server(self) -> ChildProcess:
        server, self.url = start_dev_server(self.data_dir, port=self.server_port)
        self._children.append(server)
        return server

    def start_app(self, target: str = "app:app", path: str = "/api/nextmq") -> ChildProcess:
        env = {
            "NEXTMQ_URL": self.url,
            "NEXTMQ_APP_URL": f"http://127.0.0.1:{self.app_port}{path}",
            "TEST_FOLDER": str(self.folder),
        }
        command = [sys.executable, "-m", "uvicorn", "--app-dir", str(HERE), target, "--port", str(self.app_port)]
        app = ChildProcess(command, env=env)
        self._children.append(app)
        return app

    def queue(self) -> Queue:
        return Queue("work", url=self.url)

    def job(self, job_id: str) -> QueueJob:
        job = self.queue().get_job(job_id)
        assert job is not None, f"job {job_id} is gone"
        return job

    def wait_until_finished(self, job_id: str) -> QueueJob:
        self.eventually(lambda: self.job(job_id).state in ("completed", "failed"), f"job {job_id} finishes")
        return self.job(job_id)

    def wait_for_starts(self, *job_ids: str) -> None:
        self.eventually(lambda: sorted(self.starts()) == sorted(job_ids), f"jobs {job_ids} start")

    def eventually(self, condition: t.Callable[[], bool], what: str, *, within: float = 60.0) -> None:
        """Wait until the condition is true; fail with its name if it never is."""
        deadline = time.monotonic() + within
        while not condition():
            if time.monotonic() > deadline:
                output = "".join(line for child in self._children for line in child.lines)
                pytest.fail(f"not within {within:g} s: {what}\n{output}")
            time.sleep(0.02)

    def stop(self) -> None:
        for child in reversed(self._children):
            child.stop()


@pytest.fixture
def circle(tmp_path: Path) -> t.Iterator[Circle]:
    """Return a circle in which nothing runs yet; stop everything after the test."""
    made = Circle(tmp_path)
    yield made
    made.stop()
