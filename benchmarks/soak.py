"""Check that the server does not grow: `python -m benchmarks.soak [DELIVERIES]` (300,000 by default). Linux only.

Jobs of several queues complete, fail, are retried, delayed, rate-limited, time out or lose their connection. After
each tenth the queues run empty, and the benchmark counts what the server holds: memory, connections to Redis and
to the app, asyncio tasks, and objects of its own classes.
"""

from __future__ import annotations

import asyncio
import contextlib
import gc
import itertools
import logging
import os
import sys
import tempfile
import time
import types
import typing as t
from pathlib import Path

import uvloop

from nextmq_handler.protocol.outcomes import Completed
from nextmq_server.dispatch.egress.rules import EgressRules
from nextmq_server.dispatch.reports import Report
from nextmq_server.embedded import EmbeddedValkey
from nextmq_server.projects.projects import Project
from nextmq_server.service import Service
from nextmq_server.workers.registration import RegisteredLimiter, RegisteredOptions, Registration

from .deliveries import SECRET
from .receivers import receiver

DELIVERIES = 300_000
MOST_OPEN, BULK = 2000, 200
REST = 5.0
"""How long, in s, idle connections to the app may stay."""

MOST_GROWTH = 8.0
"""By how many MB the memory may differ between the second tenth and the last."""

QUEUES = {
    **{f"plain-{number}": RegisteredOptions(concurrency=20) for number in range(5)},
    "limited": RegisteredOptions(concurrency=5, limiter=RegisteredLimiter(max=50, duration=100)),
    # So few at once that they cannot open the circuit: five in a row without an answer would.
    "silent": RegisteredOptions(concurrency=4, timeout=200),
}
KEPT = {"removeOnComplete": {"count": 1000}, "removeOnFail": {"count": 1000}}


class Kind(t.NamedTuple):
    """Of each hundred jobs so many; the job's name tells the app what to do."""

    share: int
    name: str
    opts: t.Mapping[str, t.Any] = types.MappingProxyType({})
    queue: str | None = None
    """None: one of the plain ones, in turn."""


KINDS = (
    Kind(60, "completes"),
    Kind(10, "fails once", {"attempts": 2, "backoff": {"type": "fixed", "delay": 20}}),
    Kind(4, "fails"),
    Kind(5, "is delayed", {"delay": 500}),
    Kind(4, "comes later"),
    Kind(1, "limits", queue="limited"),
    Kind(5, "is limited", queue="limited"),
    Kind(9, "completes", queue="silent"),
    Kind(1, "gets no answer", queue="silent"),
    Kind(1, "breaks"),
)


class Count(t.NamedTuple):
    """What the server holds at rest after so many deliveries. Sizes are MB."""

    deliveries: int
    memory: float
    redis_memory: float
    redis_connections: int
    app_connections: int
    tasks: int
    objects: int


class Soak:
    """A server without its API, fed with jobs."""

    def __init__(self, valkey: EmbeddedValkey, url: str) -> None:
        self.deliveries = 0
        self.open = 0
        self._url = url
        self._port = int(url.rpartition(":")[2])
        self._project = Project("soak", ("nmq_" + "0" * 40,), (SECRET,), "bull")
        egress = EgressRules.for_development()
        self.service = Service(self._project, valkey.url, egress=egress, report=self._on_delivery)
        self._plain = itertools.cycle(name for name in QUEUES if name.startswith("plain"))
        self._kinds = itertools.cycle([kind for kind in KINDS for _ in range(kind.share)])

    async def start(self) -> None:
        """Run the queues."""
        await self.service.start()
        secret_ids = [secret.id for secret in self._project.secrets]
        for queue, options in QUEUES.items():
            url = f"{self._url}/queues/{queue}"
            registration = Registration(url=url, options=options, secret_ids=secret_ids, fingerprint="soak")
            await self.service.workers.register(queue, registration, replace=None)

    async def deliver(self, most: int) -> Count:
        """Add jobs until there were about `most` deliveries, let all end, and count."""
        while self.deliveries + self.open < most:
            if self.open < MOST_OPEN:
                await self._add()
            else:
                await asyncio.sleep(0.01)
        while self.open:  # noqa: ASYNC110 - what sets it is called for each delivery, and must cost nothing
            await asyncio.sleep(0.01)
        deadline = time.monotonic() + REST
        while connections_to(self._port) and time.monotonic() < deadline:  # noqa: ASYNC110 - the system's list
            await asyncio.sleep(0.05)
        return await self._count()

    async def _add(self) -> None:
        now = round(time.time() * 1000)
        jobs = [
            self.service.jobs.new(
                kind.queue or next(self._plain), kind.name, {"x": "x" * 200}, {**kind.opts, **KEPT}, now=now
            )
            for kind in itertools.islice(self._kinds, BULK)
        ]
        self.open += len(jobs)
        await self.service.add(jobs)

    def _on_delivery(self, report: Report) -> None:
        self.deliveries += 1
        self.open -= isinstance(report.verdict, Completed) or report.is_final

    async def _count(self) -> Count:
        redis = self.service.jobs.scripts("plain-0").connection
        clients, memory = await redis.execute("CLIENT", "LIST"), await redis.execute("INFO", "memory")
        gc.collect()
        return Count(
            deliveries=self.deliveries,
            memory=resident(),
            redis_memory=int(memory.partition("used_memory:")[2].split()[0]) / 1e6,
            redis_connections=clients.count("name=nextmq-"),
            app_connections=connections_to(self._port),
            tasks=len(asyncio.all_tasks()),
            objects=sum(str(type(thing).__module__).startswith("nextmq_server.") for thing in gc.get_objects()),
        )


def resident() -> float:
    """Return the memory of this process, in MB."""
    pages = int(Path("/proc/self/statm").read_text().split()[1])
    return pages * os.sysconf("SC_PAGE_SIZE") / 1e6


def connections_to(port: int) -> int:
    """Count the open connections of this machine to one of its ports."""
    lines = [line.split() for line in Path("/proc/net/tcp").read_text().splitlines()[1:]]
    return sum(line[2].endswith(f":{port:04X}") and line[3] == "01" for line in lines)


@contextlib.asynccontextmanager
async def soaking(folder: Path) -> t.AsyncGenerator[Soak]:
    """Yield a server with its own Valkey and an app."""
    valkey = EmbeddedValkey(folder)
    valkey.start()
    with receiver("benchmarks.soak_receiver") as url:
        soak = Soak(valkey, url)
        await soak.start()
        yield soak
        await soak.service.stop(grace=5)
    valkey.stop()


async def main(deliveries: int) -> None:
    logging.disable(logging.CRITICAL)
    row = "{:>12}{:>14}{:>14}{:>18}{:>18}{:>8}{:>10}"
    print(
        row.format(
            "deliveries", "memory MB", "Valkey MB", "to Redis", "to the app", "tasks", "objects", "a second"
        )
    )
    counts: list[Count] = []
    with tempfile.TemporaryDirectory() as folder:
        async with soaking(Path(folder)) as soak:
            for tenth in range(11):
                counts.append(count := await soak.deliver(deliveries * tenth // 10))
                sizes = f"{count.memory:.1f}", f"{count.redis_memory:.1f}"
                print(row.format(f"{count.deliveries:,}", *sizes, *count[3:]), flush=True)
    print(verdict(counts))


def verdict(counts: t.Sequence[Count]) -> str:
    """Return the verdict on the counts. Raise SystemExit if the server holds more than before."""
    first, last = counts[2], counts[-1]
    growth = last.memory - first.memory
    said = f"from 20 % on memory {growth:+.1f} MB; connections, tasks and objects {first[3:]} -> {last[3:]}"
    if growth > MOST_GROWTH or first[3:] != last[3:]:
        raise SystemExit(f"NOT FLAT: {said}")
    return f"flat: {said}"


if __name__ == "__main__":
    uvloop.run(main(int(sys.argv[1]) if sys.argv[1:] else DELIVERIES))
