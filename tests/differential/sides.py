"""Both sides for short stories: a real server with an app, and LocalNextMQ, with workers of the same queues."""

from __future__ import annotations

import contextlib
import threading
import typing as t
from pathlib import Path

import pytest

from nextmq_handler import UnrecoverableJobError, Worker
from nextmq_handler.testing import LocalNextMQ
from nextmq_server.testing.processes import start_dev_server

from .both import Served

PATIENCE = 20.0
"""How long, in s, a story waits for a job that ends."""

FAR = 600_000
"""A delay, in ms, whose end no story waits for."""


class Runs:
    """What the processor of all queues did: the data of each start."""

    def __init__(self) -> None:
        self.lock = threading.Lock()
        self.seen: list[t.Any] = []

    def run(self, job: t.Any) -> t.Any:
        """Return the job's data, or fail for good if it says so."""
        with self.lock:
            self.seen.append(job.data)
        if isinstance(job.data, dict) and job.data.get("fails"):
            raise UnrecoverableJobError(job.data["fails"])
        return job.data

    def of(self, mark: str) -> list[t.Any]:
        """Return the data of each start of the jobs with this mark."""
        with self.lock:
            return [data for data in self.seen if isinstance(data, dict) and data.get("mark") == mark]


def workers_of(names: t.Iterable[str], runs: Runs) -> list[Worker]:
    """Return a worker with dead letters for each queue."""

    def run(job: t.Any) -> t.Any:
        return runs.run(job)

    return [Worker(name, run, dead_letter=True) for name in names]


@contextlib.contextmanager
def real(names: t.Sequence[str], runs: Runs, folder: Path) -> t.Iterator[None]:
    """Let the SDK use a real server, whose app serves the queues."""
    server, url = start_dev_server(folder)
    try:
        with pytest.MonkeyPatch.context() as patch, Served(workers_of(names, runs), url):
            patch.setenv("NEXTMQ_URL", url)
            yield
    finally:
        server.stop()


@contextlib.contextmanager
def local(names: t.Sequence[str], runs: Runs) -> t.Iterator[None]:
    """Let the SDK use a LocalNextMQ that has workers for the queues."""
    with LocalNextMQ(workers=workers_of(names, runs)):
        yield
