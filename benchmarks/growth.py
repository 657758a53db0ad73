"""Measure what a job costs as queues and waiting jobs grow: `python -m benchmarks.growth`. Linux only.

The engine and dispatcher with signed webhooks, in their own process, on their own Valkey. First the same
jobs over more and more queues, few at a time: on many queues each job wakes one that had nothing to do. Then one
queue with more and more jobs that wait; as many are added as are done. A job's CPU in Valkey includes its adding.
"""

from __future__ import annotations

import asyncio
import contextlib
import itertools
import random
import statistics
import subprocess
import tempfile
import time
import typing as t
from pathlib import Path

import uvloop

from nextmq_server.embedded import EmbeddedValkey
from nextmq_server.engine.queues.jobs import Jobs
from nextmq_server.engine.scripts.scripts import ScriptRunner
from nextmq_server.redis.address import Address
from nextmq_server.redis.connection import RedisConnection
from nextmq_server.redis.keys import ProjectKeys

from .dispatch import DATA, SERVICE, cpu_of
from .dispatch_receiver import Receiver

QUEUES = (1, 10, 100, 1000, 5000)
WAITING = (1000, 10_000, 100_000, 1_000_000)
CONCURRENCY = 50
"""How many jobs a queue runs at once, and how many are open on all queues of the first table."""

JOBS, ROUNDS, WARM_UP = 1000, 3, 500
IDLE = 5.0
BULK = 200


class Cost(t.NamedTuple):
    """Jobs in a second; CPU of the server and of Valkey for one of them, in s."""

    rate: float
    server: float
    valkey: float


class Idle(t.NamedTuple):
    """The server's connections to Redis; the CPU of the server and of Valkey, as shares of a core."""

    connections: int
    server: float
    valkey: float


class App:
    """The receiving app, in this process: it counts."""

    def __init__(self) -> None:
        self.done = 0
        self.news = asyncio.Event()

    def connect(self) -> Receiver:
        """Return the protocol that serves a connection."""
        app = self

        class Counting(Receiver):
            def on_message_complete(self) -> None:
                super().on_message_complete()
                app.done += 1
                app.news.set()

        return Counting()


class Stage:
    """The Valkey, the app and a producer."""

    def __init__(
        self, valkey: EmbeddedValkey, redis: RedisConnection, runner: ScriptRunner, app: App, url: str
    ) -> None:
        self.redis = redis
        self._valkey = valkey
        self._jobs = Jobs(runner, "bull")
        self._app = app
        self._url = url
        self._added = 0

    @property
    def open(self) -> int:
        """How many jobs are not delivered yet."""
        return self._added - self._app.done

    @contextlib.contextmanager
    def server(self, queues: int) -> t.Generator[int]:
        """Run the server with `queues` queues; yield its process id."""
        socket = str(self._valkey.socket_path)
        command = [*SERVICE.command, socket, self._url, "bench", str(CONCURRENCY), str(queues)]
        with subprocess.Popen(command) as process:
            try:
                yield process.pid
            finally:
                process.kill()

    def add(self, queues: t.Iterable[str]) -> asyncio.Task[t.Any]:
        """Add a job to each of the queues, in one step."""
        now = round(time.time() * 1000)
        jobs = [self._jobs.new(queue, "job", DATA, {}, now=now) for queue in queues]
        self._added += len(jobs)
        return asyncio.create_task(self._jobs.add(jobs))

    async def fill(self, waiting: int) -> tuple[float, float, float]:
        """Add until `waiting` jobs wait; return jobs/s, and Valkey's CPU (s) and memory (bytes) per job."""
        started, cpu, memory, before = time.perf_counter(), self._valkey_cpu(), await self._memory(), self._added
        while (left := waiting - self.open) > 0:
            sizes = [BULK] * min(4, left // BULK) or [left]
            await asyncio.gather(*(self.add(["bench"] * size) for size in sizes))
        added = self._added - before
        rate = added / (time.perf_counter() - started)
        return rate, (self._valkey_cpu() - cpu) / added, (await self._memory() - memory) / added

    async def idle(self, pid: int) -> Idle:
        """Measure the server while it is idle."""
        clients: str = await self.redis.execute("CLIENT", "LIST")
        server, valkey = cpu_of([pid]), self._valkey_cpu()
        await asyncio.sleep(IDLE)
        seconds = (cpu_of([pid]) - server) / IDLE, (self._valkey_cpu() - valkey) / IDLE
        return Idle(clients.count("name=nextmq-"), *seconds)

    async def cost(self, queues: t.Sequence[str], pid: int, idle: Idle | None = None) -> Cost:
        """Measure what a job costs at the present number of open jobs, less the cost of the idle server.

        The median of some rounds.
        """
        most, idle = max(self.open, CONCURRENCY), idle or Idle(0, 0, 0)
        await self._run(queues, WARM_UP, most)
        costs: list[Cost] = []
        for _ in range(ROUNDS):
            started, server, valkey, done = time.perf_counter(), cpu_of([pid]), self._valkey_cpu(), self._app.done
            await self._run(queues, JOBS, most)
            count, seconds = self._app.done - done, time.perf_counter() - started
            server, valkey = cpu_of([pid]) - server, self._valkey_cpu() - valkey
            costs.append(
                Cost(
                    count / seconds,
                    (server - idle.server * seconds) / count,
                    (valkey - idle.valkey * seconds) / count,
                )
            )
        return Cost(*(statistics.median(values) for values in zip(*costs, strict=True)))

    async def registered(self, queue: str) -> None:
        """Wait until the server runs the queue."""
        while not await self.redis.execute("EXISTS", f"bull:{queue}:meta"):  # noqa: ASYNC110 - another process
            await asyncio.sleep(0.05)

    async def _run(self, queues: t.Sequence[str], jobs: int, most: int) -> None:
        names, end, adds = itertools.cycle(queues), self._app.done + jobs, set[asyncio.Task[t.Any]]()
        while self._app.done < end:
            room = min(most - self.open, BULK)
            if room > 0:
                adds.add(add := self.add(itertools.islice(names, room)))
                add.add_done_callback(adds.discard)
            await self._next()
        await asyncio.gather(*adds)

    async def _next(self) -> None:
        self._app.news.clear()
        await self._app.news.wait()

    async def _memory(self) -> int:
        memory: str = await self.redis.execute("INFO", "memory")
        return int(memory.partition("used_memory:")[2].split()[0])

    def _valkey_cpu(self) -> float:
        assert self._valkey.pid is not None
        return cpu_of([self._valkey.pid])


@contextlib.asynccontextmanager
async def staged() -> t.AsyncGenerator[Stage]:
    """Yield a fresh stage."""
    app = App()
    serving = await asyncio.get_running_loop().create_server(app.connect, "127.0.0.1", 0, backlog=1024)
    with tempfile.TemporaryDirectory() as folder:
        valkey = EmbeddedValkey(Path(folder))
        valkey.start()
        redis = RedisConnection(Address(valkey.url), name="benchmark")
        await redis.connect()
        await redis.execute("CONFIG", "SET", "auto-aof-rewrite-percentage", 0)  # it would come in one row only
        runner = ScriptRunner(redis, ProjectKeys("bench"))
        port = serving.sockets[0].getsockname()[1]
        yield Stage(valkey, redis, runner, app, f"http://127.0.0.1:{port}/queues/bench")
        await redis.close()
        valkey.stop()
    serving.close()


async def by_queues() -> None:
    """Print the first table."""
    print(f"{JOBS * ROUNDS:,} jobs over so many queues, {CONCURRENCY} at a time; ratios to one queue")
    print(f"{'queues':>9}{'jobs/s':>9}{'server µs':>16}{'Valkey µs':>16}{'connections':>13}{'idle server':>13}")
    first: Cost | None = None
    for queues in QUEUES:
        names = ["bench"] if queues == 1 else [f"bench-{number}" for number in range(queues)]
        async with staged() as stage:
            with stage.server(queues) as pid:
                await stage.registered(names[-1])
                idle = await stage.idle(pid)
                cost = await stage.cost(random.Random(1).sample(names, queues), pid, idle)
        first = first or cost
        print(f"{queues:>9,}{shown(cost, first)}{idle.connections:>13}{idle.server:>13.1%}", flush=True)


async def by_waiting() -> None:
    """Print the second table."""
    print("\nOne queue in which so many jobs wait; ratios to the first row")
    print(f"{'':>9}{'to add one more':-^34}{'to add one and run one':-^41}")
    print(
        f"{'waiting':>9}{'adds/s':>9}{'Valkey µs':>12}{'bytes':>13}{'jobs/s':>9}{'server µs':>16}{'Valkey µs':>16}"
    )
    first: Cost | None = None
    async with staged() as stage:
        for waiting in WAITING:
            rate, cpu, memory = await stage.fill(waiting)
            with stage.server(1) as pid:
                await stage.registered("bench")
                cost = await stage.cost(["bench"], pid)
            # The server was killed: it leaves a bound of how many jobs may run, and those that ran.
            await stage.redis.execute("DEL", "bull:bench:meta", "bull:bench:active")
            first = first or cost
            print(f"{waiting:>9,}{rate:>9.0f}{cpu * 1e6:>12.0f}{memory:>13.0f}{shown(cost, first)}", flush=True)


def shown(cost: Cost, first: Cost) -> str:
    """Format the columns of a cost."""
    server, valkey = (f"{own * 1e6:.0f} ({own / base:.2f})" for own, base in zip(cost[1:], first[1:], strict=True))
    return f"{cost.rate:>9.0f}{server:>16}{valkey:>16}"


async def main() -> None:
    await by_queues()
    await by_waiting()


if __name__ == "__main__":
    uvloop.run(main())
