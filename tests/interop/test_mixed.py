"""Node's producers and workers mixed with ours on the same queues: no job is lost, none runs twice."""

from __future__ import annotations

import collections
import contextlib
import itertools
import json
import subprocess
import sys
import threading
import time
import typing as t
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest
import redis

from nextmq_handler import NewJob, Queue
from nextmq_server.testing.processes import ChildProcess, free_port, start_dev_server

from .node import FOLDER, NODE

QUEUES = [f"mixed-{number}" for number in range(20)]
SHELF = "mixed-shelf"
"""A queue without a worker: its jobs stay as they were added."""

SINGLE = 50
"""How many jobs of a queue we add one by one; the others are added in bulk."""

WORK_TIME = 300.0

KINDS: tuple[dict[str, t.Any], ...] = (
    {},
    {"delay": 300},
    {"priority": 3},
    {"lifo": True},
    {},
    {"delay": 2500, "priority": 1},
    {"priority": 1},
    {"attempts": 2, "backoff": {"type": "fixed", "delay": 50}},
    {"delay": 5000},
    {"priority": 2, "lifo": True},
)
JOBS: list[dict[str, t.Any]] = [
    {"name": f"job {number}", "data": {"fails": opts.get("attempts", 1) - 1}, "opts": opts}
    for number, opts in zip(range(500), itertools.cycle(KINDS), strict=False)
]
"""What each side adds to each queue: `fails` is how often a job's processor raises before it returns."""

pytestmark = pytest.mark.timeout(600)


class Mixed(t.NamedTuple):
    """The runs of each side as (queue, id), and the counts as each side shows them."""

    expected: collections.Counter[tuple[str, str]]
    ran: dict[str, collections.Counter[tuple[str, str]]]
    counts: dict[str, dict[str, int]]
    board: dict[str, dict[str, int]]


def node(socket: Path, command: str, given: object = None) -> t.Any:
    """Return the answer of Node's half to a command."""
    done = subprocess.run(
        [str(NODE), str(FOLDER / "mixed.mjs"), command, str(socket), *QUEUES, SHELF],
        input=json.dumps(given),
        capture_output=True,
        check=False,
        text=True,
        timeout=WORK_TIME,
    )
    if done.returncode:
        pytest.fail(done.stderr[-2000:], pytrace=False)
    return json.loads(done.stdout)


@contextlib.contextmanager
def node_workers(socket: Path) -> t.Iterator[None]:
    """Run Node's workers on all queues."""
    command = [str(NODE), str(FOLDER / "mixed.mjs"), "work", str(socket), *QUEUES]
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) as process:
        assert process.stdin
        assert process.stdout
        try:
            assert process.stdout.readline() == "ready\n"
            yield
            process.stdin.close()
            assert process.wait(WORK_TIME) == 0
        finally:
            process.kill()


@contextlib.contextmanager
def our_workers(folder: Path, socket: Path) -> t.Iterator[str]:
    """Run our server with an app on all queues; yield the connection string."""
    server, url = start_dev_server(folder)
    port = free_port()
    env = {
        "NEXTMQ_URL": url,
        "NEXTMQ_APP_URL": f"http://127.0.0.1:{port}",
        "TEST_SOCKET": str(socket),
        "TEST_QUEUES": " ".join(QUEUES),
    }
    command = [sys.executable, "-m", "uvicorn", "tests.interop.mixed_app:app", "--port", str(port)]
    app = ChildProcess(command, env=env)
    try:
        for _ in QUEUES:
            server.wait_for_line("worker registered")
        yield url
    finally:
        app.stop()
        server.stop()


def add_ours(url: str) -> dict[str, list[str]]:
    """Add the jobs to each queue through our server, several queues at a time; return their ids."""
    bulk = t.cast("list[NewJob[t.Any]]", JOBS[SINGLE:])

    def add(name: str) -> list[str]:
        queue: Queue[t.Any, t.Any] = Queue(name, url=url)
        added = [queue.add(job["name"], job["data"], **job["opts"]) for job in JOBS[:SINGLE]]
        return [job.id for job in (*added, *queue.add_bulk(bulk))]

    names = (*QUEUES, SHELF)
    with ThreadPoolExecutor(7) as pool:
        return dict(zip(names, pool.map(add, names), strict=True))


def counts_at_the_end(url: str) -> dict[str, dict[str, int]]:
    """Wait until all jobs of queues with a worker are completed; return the counts of each queue."""
    deadline = time.monotonic() + WORK_TIME
    for name in QUEUES:
        while (counts := Queue(name, url=url).get_job_counts())["completed"] < sum(counts.values()):
            assert time.monotonic() < deadline, (name, counts)
            time.sleep(0.5)
    return {name: Queue(name, url=url).get_job_counts() for name in (*QUEUES, SHELF)}


@pytest.fixture(scope="module")
def mixed(tmp_path_factory: pytest.TempPathFactory, node_bullmq: Path) -> Mixed:
    """Run 20,000 jobs, half added by each side, on queues that both sides work on."""
    folder = tmp_path_factory.mktemp("mixed")
    socket = folder / "valkey" / "valkey.sock"
    added: list[dict[str, list[str]]] = []
    with our_workers(folder, socket) as url, redis.Redis(unix_socket_path=str(socket)) as client:
        with node_workers(socket):
            by_node = threading.Thread(target=lambda: added.append(node(socket, "add", JOBS)))
            by_node.start()
            added.append(add_ours(url))
            by_node.join()
            counts = counts_at_the_end(url)
        board = node(socket, "board")
        ran = {side: runs(client, side) for side in ("node", "ours")}
    expected: collections.Counter[tuple[str, str]] = collections.Counter()
    for ids in added:
        for queue in QUEUES:
            for job_id, job in zip(ids[queue], JOBS, strict=True):
                expected[queue, job_id] += 1 + job["data"]["fails"]
    return Mixed(expected, ran, counts, board)


def runs(client: t.Any, side: str) -> collections.Counter[tuple[str, str]]:
    """Count how often a side ran each job."""
    return collections.Counter(
        {tuple(key.decode().split(" ")): int(count) for key, count in client.hgetall(f"runs:{side}").items()}
    )


def test_every_job_of_either_side_ran_as_often_as_it_should(mixed: Mixed) -> None:
    ran = mixed.ran["node"] + mixed.ran["ours"]
    assert (len(ran), ran - mixed.expected, mixed.expected - ran) == (20_000, {}, {})


def test_either_side_ran_jobs_of_every_queue(mixed: Mixed) -> None:
    assert [{queue for queue, _ in ran} for ran in mixed.ran.values()] == [{*QUEUES}] * 2


def test_all_jobs_are_completed(mixed: Mixed) -> None:
    assert [mixed.counts[queue]["completed"] for queue in QUEUES] == [1000] * 20


def test_bull_board_shows_the_counts_that_we_show(mixed: Mixed) -> None:
    ours = {queue: {state: mixed.counts[queue][state] for state in shown} for queue, shown in mixed.board.items()}
    assert (mixed.board, ours[SHELF]["delayed"], ours[SHELF]["prioritized"]) == (ours, 300, 300)
