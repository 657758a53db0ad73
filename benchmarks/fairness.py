"""Measure what a hostile project does to another one: `python -m benchmarks.fairness [--short]`. Linux only.

One `nextmq serve` with several projects, a healthy app, and one hostile project after the other. A row shows how
long healthy jobs take from their add to their app, alone and beside the hostile project, and how many attempts it
cost them. The goal: at most twice as long, and no attempt.
"""

from __future__ import annotations

import asyncio
import contextlib
import json
import os
import secrets
import socket
import statistics
import subprocess
import sys
import tempfile
import time
import typing as t
from pathlib import Path

import bullmq
import httpx
from redis.asyncio import Redis

from nextmq_handler.protocol.signing import parse_secret
from nextmq_server.embedded import EmbeddedValkey
from nextmq_server.testing.processes import free_port

from .deliveries import SECRET
from .fairness_apps import APPS, SLOW_NAMES
from .receivers import receiver

MAX_IN_FLIGHT = 64
GAP = 0.02
"""How far apart, in s, healthy jobs are added."""

GOAL = 2.0
"""How many times as long healthy jobs may take beside a hostile project."""

HEALTHY = "healthy"

stock_bullmq: t.Any = bullmq


class Attack(t.NamedTuple):
    """A hostile project: its queues, where they deliver to, their worker options, and how many jobs each gets."""

    queues: int
    url: str
    options: dict[str, t.Any]
    jobs: int


def attacks(ports: t.Mapping[str, int]) -> dict[str, Attack]:
    """Return the hostile projects by their names."""
    rows = {
        name: Attack(4, f"http://127.0.0.1:{port}/", {"concurrency": 50, "timeout": 5000}, 200)
        for name, port in ports.items()
    }
    never = f"http://127.0.0.1:{ports['never answers']}/"
    rows["never answers"] = Attack(4, never, {"concurrency": 10_000, "timeout": 900_000}, 100)
    rows["slow names"] = Attack(24, f"http://{{queue}}{SLOW_NAMES}/", {"concurrency": 50, "timeout": 5000}, 20)
    return rows


class Times(t.NamedTuple):
    """How long healthy jobs took, in ms, and how many attempts they used beyond the one that completed them."""

    taken: list[float]
    lost: int

    @property
    def p99(self) -> float:
        return statistics.quantiles(self.taken, n=100, method="inclusive")[98]


class Stage:
    """The server, the projects and the Redis that they share."""

    def __init__(self, redis: Redis, api: httpx.AsyncClient, keys: dict[str, str]) -> None:
        self._redis: t.Any = redis
        self._api = api
        self._keys = keys

    async def register(self, project: str, queue: str, url: str, options: dict[str, t.Any]) -> None:
        """Register a worker. Raises SystemExit if the server refuses it."""
        worker = {
            "url": f"{url}queues/{queue}",
            "options": options,
            "secretIds": [parse_secret(SECRET).id],
            "fingerprint": "bench",
        }
        answer = await self._api.put(f"/v1/queues/{queue}/worker", json=worker, headers=self._key(project))
        if answer.is_error:
            raise SystemExit(f"cannot register queue {queue} of {project}: {answer.text}")

    async def unregister(self, project: str, queue: str) -> None:
        await self._api.delete(f"/v1/queues/{queue}/worker", headers=self._key(project))

    async def fill(self, project: str, queue: str, jobs: int) -> None:
        """Add jobs in one step; the first and every tenth is one that a firewall refuses."""
        bulk = [{"name": "job", "data": "bad" if number % 10 == 0 else "good"} for number in range(jobs)]
        options = {"connection": self._redis, "prefix": f"fair-{project}"}
        await stock_bullmq.Queue(queue, options).addBulk(bulk)

    async def healthy(self, jobs: int) -> Times:
        """Run healthy jobs, one after the other."""
        queue = stock_bullmq.Queue(HEALTHY, {"connection": self._redis, "prefix": f"fair-{HEALTHY}"})
        added: dict[str, float] = {}
        for _ in range(jobs):
            at = time.time() * 1000
            job = await queue.add("job", {}, {"attempts": 5})
            added[str(job.id)] = at
            await asyncio.sleep(GAP)
        taken: list[float] = []
        lost = 0
        for id, at in added.items():
            key = f"fair-{HEALTHY}:{HEALTHY}:{id}"
            async with asyncio.timeout(60):
                while (answered := await self._redis.hget(key, "returnvalue")) is None:  # noqa: ASYNC110
                    await asyncio.sleep(0.05)
            taken.append(float(answered) - at)
            lost += int(await self._redis.hget(key, "atm") or 1) - 1
        return Times(taken, lost)

    def _key(self, project: str) -> dict[str, str]:
        return {"authorization": f"Bearer {self._keys[project]}"}


async def compare(stage: Stage, name: str, attack: Attack, jobs: int) -> bool:
    """Measure one hostile project and print its row. Return whether the goal is met."""
    project = project_of(name)
    alone = await stage.healthy(jobs)
    queues = [f"q{number}" for number in range(attack.queues)]
    for queue in queues:
        await stage.fill(project, queue, attack.jobs)
    for queue in queues:
        await stage.register(project, queue, attack.url.format(queue=queue), attack.options)
    beside = await stage.healthy(jobs)
    for queue in queues:
        await stage.unregister(project, queue)
    ratio, lost = beside.p99 / alone.p99, alone.lost + beside.lost
    is_met = ratio <= GOAL and lost == 0
    print(f"{name:<28}{alone.p99:>10.1f}{beside.p99:>10.1f}{ratio:>8.2f}{lost:>10}{'' if is_met else '  MISSED'}")
    return is_met


def project_of(name: str) -> str:
    return name.replace(" ", "-")


@contextlib.contextmanager
def serving(folder: Path, redis_url: str, names: t.Iterable[str]) -> t.Generator[tuple[str, dict[str, str]]]:
    """Run the server; yield its URL and the API keys of the projects."""
    keys = {name: f"nmq_{secrets.token_hex(20)}" for name in names}
    projects = [
        {"name": name, "apiKeys": [key], "webhookSecrets": [SECRET], "prefix": f"fair-{name}"}
        for name, key in keys.items()
    ]
    file = folder / "projects.json"
    file.touch(mode=0o600)
    file.write_text(json.dumps(projects))
    port = free_port()
    command = [sys.executable, "-m", "benchmarks.fairness_apps", "serve", "--projects", str(file)]
    command += ["--redis-url", redis_url, "--port", str(port), "--max-in-flight", str(MAX_IN_FLIGHT)]
    command += ["--allow-egress", "127.0.0.0/8", "--grace", "0"]
    with subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL) as process:
        try:
            yield f"http://127.0.0.1:{port}", keys
        finally:
            process.kill()


@contextlib.contextmanager
def hostile_apps() -> t.Generator[dict[str, int]]:
    """Run the hostile apps; yield their ports."""
    command = [sys.executable, "-m", "benchmarks.fairness_apps", "apps"]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as process:
        assert process.stdout is not None
        try:
            yield json.loads(process.stdout.readline())
        finally:
            process.kill()


async def until_ready(url: str) -> None:
    """Wait until the server serves."""
    port = int(url.rpartition(":")[2])
    deadline = time.monotonic() + 30
    while time.monotonic() < deadline:
        with contextlib.suppress(OSError):
            socket.create_connection(("127.0.0.1", port), timeout=1).close()
            return
        await asyncio.sleep(0.05)
    raise SystemExit("the server did not start")


async def main() -> None:
    jobs = 100 if "--short" in sys.argv else 500
    names = [HEALTHY, *map(project_of, (*APPS, "slow names"))]
    with (
        tempfile.TemporaryDirectory() as folder,
        receiver("benchmarks.dispatch_receiver") as app,
        hostile_apps() as ports,
    ):
        valkey = EmbeddedValkey(Path(folder, "valkey"))
        valkey.start()
        redis = Redis(unix_socket_path=str(valkey.socket_path), decode_responses=True)
        with serving(Path(folder), valkey.url, names) as (url, keys):
            await until_ready(url)
            async with httpx.AsyncClient(base_url=url, timeout=30) as api:
                stage = Stage(redis, api, keys)
                await stage.register(HEALTHY, HEALTHY, f"{app}/", {"concurrency": 5})
                await stage.healthy(50)  # connections open, code warm
                print(f"{jobs} healthy jobs{'p99 alone, ms':>26}{'beside':>8}{'ratio':>8}{'attempts':>10}")
                met = [await compare(stage, name, attack, jobs) for name, attack in attacks(ports).items()]
        await redis.aclose()
        valkey.stop()
    if not all(met):
        raise SystemExit(f"MISSED: at most {GOAL:g} times as long and no attempt on {os.cpu_count()} cores")


if __name__ == "__main__":
    asyncio.run(main())
