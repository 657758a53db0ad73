"""A server killed between the request of an `add` and its answer: every job exists exactly once."""

from __future__ import annotations

import collections
import os
import random
import signal
import subprocess
import sys
import threading
import time
import typing as t
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from nextmq_handler import Queue
from nextmq_server.embedded import EmbeddedValkey
from nextmq_server.projects.projects import load_or_create_project
from nextmq_server.testing.processes import free_port

PRODUCERS = 4
SEED = 20_260_715


class KillableServer:
    """A queue server that can be killed and restarts at once."""

    def __init__(self, folder: Path, redis_url: str) -> None:
        port = free_port()
        project_file = folder / "project.json"
        self.url = load_or_create_project(project_file, "killed").connection_string(f"http://127.0.0.1:{port}")
        command = [sys.executable, str(Path(__file__).with_name("forking_server.py"))]
        self._forker = subprocess.Popen(
            [*command, str(project_file), redis_url, str(port)],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
        )
        self._pid = 0

    def start(self) -> None:
        assert self._forker.stdin
        assert self._forker.stdout
        self._forker.stdin.write("\n")
        self._forker.stdin.flush()
        self._pid = int(self._forker.stdout.readline())

    def kill(self) -> None:
        os.kill(self._pid, signal.SIGKILL)

    def stop(self) -> None:
        self.kill()
        assert self._forker.stdin
        assert self._forker.stdout
        self._forker.stdin.close()
        self._forker.wait()
        self._forker.stdout.close()


@pytest.fixture
def server(tmp_path: Path) -> t.Iterator[KillableServer]:
    valkey = EmbeddedValkey(tmp_path / "valkey")
    valkey.start()
    server = KillableServer(tmp_path, valkey.url)
    server.start()
    yield server
    server.stop()
    valkey.stop()


@pytest.mark.parametrize("kills", [25, pytest.param(500, marks=pytest.mark.long)])
@pytest.mark.timeout(600)
def test_every_job_exists_exactly_once_though_the_server_is_killed(server: KillableServer, kills: int) -> None:
    luck = random.Random(SEED)
    queue: Queue = Queue("work", url=server.url, timeout=300)
    queue.pause()
    is_over = threading.Event()

    def produce(producer: int) -> int:
        count = 0
        while not is_over.is_set():
            queue.add("job", [producer, count], remove_on_complete=True)
            count += 1
        return count

    with ThreadPoolExecutor(PRODUCERS) as pool:
        producers = [pool.submit(produce, number) for number in range(PRODUCERS)]
        try:
            for _ in range(kills):
                time.sleep(luck.uniform(0.001, 0.1))  # the moment of the kill, not a wait for something
                server.kill()
                server.start()
        finally:
            is_over.set()
        added = [producer.result() for producer in producers]

    found: collections.Counter[tuple[int, int]] = collections.Counter()
    pages = range(0, sum(added) * 2, 1000)
    for start in pages:
        found.update(tuple(job.data) for job in queue.get_waiting(start, start + 999))
    wanted = {(producer, number) for producer, count in enumerate(added) for number in range(count)}
    assert (found.keys() ^ wanted, [job for job, times in found.items() if times > 1]) == (set(), [])
