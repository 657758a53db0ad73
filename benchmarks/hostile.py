"""Measure what hostile apps do to the queues of others: `python -m benchmarks.hostile`. Linux only.

One server, a queue whose app answers at once, and queues whose apps are hostile. The healthy queue's jobs come one
by one, first alone, then while each hostile queue gets a job ten times a second: how long they take from the
pick-up to the end, what the server uses meanwhile, and how the hostile deliveries end.
"""

from __future__ import annotations

import asyncio
import collections
import contextlib
import json
import os
import statistics
import subprocess
import sys
import tempfile
import time
import typing as t
from pathlib import Path

import uvloop

from nextmq_server.dispatch.egress.rules import EgressRules
from nextmq_server.embedded import EmbeddedValkey
from nextmq_server.engine.queues.jobs import Jobs
from nextmq_server.engine.scripts.scripts import ScriptRunner
from nextmq_server.projects.projects import Project
from nextmq_server.redis.address import Address
from nextmq_server.redis.connection import RedisConnection
from nextmq_server.redis.keys import ProjectKeys
from nextmq_server.service import Service
from nextmq_server.workers.registration import RegisteredOptions, Registration

from .deliveries import SECRET
from .dispatch import cpu_of
from .dispatch_receiver import Receiver

JOBS, GAP = 400, 0.02
HOSTILE_GAP = 0.1
TIMEOUT = 1000
"""The deadline of a delivery, in ms."""

MOST_GROWTH = 32.0
"""By how many MB the server may grow."""

HEALTHY = "healthy"


class Taken(t.NamedTuple):
    """How long healthy jobs took, in ms; the server's CPU meanwhile, as a share of a core."""

    from_pick_up: list[int]
    from_add: list[int]
    cpu: float


class Ends(t.NamedTuple):
    """How the deliveries of a hostile app ended: how many by which error, and the longest, in ms."""

    errors: collections.Counter[str]
    longest: int


class Stage:
    """A producer beside the server, and a look at what Redis holds."""

    def __init__(self, redis: RedisConnection, runner: ScriptRunner, server: int) -> None:
        self._redis = redis
        self._jobs = Jobs(runner, "bull")
        self._server = server

    async def healthy(self) -> Taken:
        """Run the jobs of the healthy queue, one by one."""
        ids: list[str] = []
        started, cpu = time.perf_counter(), cpu_of([self._server])
        for _ in range(JOBS):
            ids.append(await self.add(HEALTHY))
            await asyncio.sleep(GAP)
        while await self._redis.execute("ZCARD", f"bull:{HEALTHY}:completed") % JOBS:  # noqa: ASYNC110 - elsewhere
            await asyncio.sleep(0.05)
        share = (cpu_of([self._server]) - cpu) / (time.perf_counter() - started)
        times = [await self._times(HEALTHY, id) for id in ids]
        from_pick_up, from_add = [end - start for _, start, end in times], [end - add for add, _, end in times]
        return Taken(from_pick_up, from_add, share)

    async def attack(self, queues: t.Sequence[str]) -> None:
        """Add to the hostile queues, one after the other, until cancelled."""
        while True:
            for queue in queues:
                await self.add(queue)
                await asyncio.sleep(HOSTILE_GAP / len(queues))

    async def ends(self, queue: str) -> Ends:
        """Return how the deliveries of a hostile queue ended."""
        ids: list[str] = await self._redis.execute("ZRANGE", f"bull:{queue}:failed", 0, -1)
        errors: collections.Counter[str] = collections.Counter()
        longest = 0
        for id in ids:
            reason: str = await self._redis.execute("HGET", f"bull:{queue}:{id}", "failedReason")
            errors[reason.partition(":")[0]] += 1
            _, picked, ended = await self._times(queue, id)
            longest = max(longest, ended - picked)
        return Ends(errors, longest)

    async def peak(self, peaks: list[float]) -> None:
        """Note the server's memory until cancelled."""
        while True:
            peaks.append(self.memory())
            await asyncio.sleep(0.02)

    def memory(self) -> float:
        """Return the memory of the server, in MB."""
        pages = int(Path(f"/proc/{self._server}/statm").read_text().split()[1])
        return pages * os.sysconf("SC_PAGE_SIZE") / 1e6

    async def add(self, queue: str) -> str:
        """Add a job; its id."""
        job = self._jobs.new(queue, "job", None, {}, now=round(time.time() * 1000))
        return (await self._jobs.add([job]))[0].id

    async def _times(self, queue: str, id: str) -> tuple[int, int, int]:
        fields = ("timestamp", "processedOn", "finishedOn")
        added, picked, ended = await self._redis.execute("HMGET", f"bull:{queue}:{id}", *fields)
        return int(added), int(picked), int(ended)


async def serve(redis_url: str, ports: dict[str, int]) -> None:
    """Run the server until it is killed."""
    project = Project("bench", ("nmq_" + "0" * 40,), (SECRET,), "bull")
    service = Service(project, redis_url, egress=EgressRules.for_development())
    await service.start()
    secret_ids = [secret.id for secret in project.secrets]
    for queue, port in ports.items():
        url, options = f"http://127.0.0.1:{port}/queues/x", RegisteredOptions(concurrency=5, timeout=TIMEOUT)
        registration = Registration(url=url, options=options, secret_ids=secret_ids, fingerprint="bench")
        await service.workers.register(queue, registration, replace=None)
    print("ready", flush=True)
    await asyncio.Event().wait()


@contextlib.contextmanager
def child(module: str, *arguments: str) -> t.Generator[tuple[int, str]]:
    """Start a benchmark process; yield its id and the line that it printed."""
    command = [sys.executable, "-m", f"benchmarks.{module}", *arguments]
    with subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True) as process:
        assert process.stdout is not None
        try:
            yield process.pid, process.stdout.readline()
        finally:
            process.kill()


async def main() -> None:
    receiver = await asyncio.get_running_loop().create_server(Receiver, "127.0.0.1", 0)
    with tempfile.TemporaryDirectory() as folder, child("hostile_receivers") as (_, line):
        valkey = EmbeddedValkey(Path(folder))
        valkey.start()
        hostile: dict[str, int] = json.loads(line)
        ports = {HEALTHY: receiver.sockets[0].getsockname()[1], **hostile}
        redis = RedisConnection(Address(valkey.url), name="benchmark")
        await redis.connect()
        runner = ScriptRunner(redis, ProjectKeys("bench"))
        with child("hostile", valkey.url, json.dumps(ports)) as (server, _):
            await play(Stage(redis, runner, server), list(hostile))
        await redis.close()
        valkey.stop()
    receiver.close()


async def play(stage: Stage, hostile: t.Sequence[str]) -> None:
    """Measure, print. Raises SystemExit where the hostile apps get more than they may."""
    await stage.healthy()  # connections open, code warm
    alone, before = await stage.healthy(), stage.memory()
    peaks = [before]
    attacks = [asyncio.create_task(stage.attack(hostile)), asyncio.create_task(stage.peak(peaks))]
    beside = await stage.healthy()
    for attack in attacks:
        attack.cancel()
    print(f"{JOBS} jobs, ms{'from pick-up, p50':>30}{'p99':>8}{'from add, p50':>16}{'p99':>8}{'server CPU':>13}")
    for name, taken in (("alone", alone), (f"beside {len(hostile)} hostile queues", beside)):
        times = (f"{statistics.median(times):>16.1f}{p99(times):>8.1f}" for times in taken[:2])
        print(f"{name:<26}{''.join(times)}{taken.cpu:>13.1%}")
    print(f"\n{'hostile app':<24}{'deliveries':>12}{'longest ms':>12}  ended as")
    for queue in hostile:
        errors, longest = await stage.ends(queue)
        print(f"{queue:<24}{errors.total():>12}{longest:>12}  {', '.join(errors)}")
    growth = max(peaks) - before
    said = f"the server's memory grew by {growth:.1f} MB at most; the deadline is {TIMEOUT} ms"
    if growth > MOST_GROWTH:
        raise SystemExit(f"TOO MUCH: {said}")
    print(f"\n{said}")


def p99(values: t.Sequence[int]) -> float:
    return statistics.quantiles(values, n=100, method="inclusive")[98]


if __name__ == "__main__":
    uvloop.run(serve(sys.argv[1], json.loads(sys.argv[2])) if sys.argv[1:] else main())
