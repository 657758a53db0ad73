"""The server processes of a project: each publishes what only it knows, for the others to see."""

from __future__ import annotations

import asyncio
import contextlib
import time
import typing as t
from dataclasses import dataclass, field

from nextmq_handler.protocol import strict_json

from ...redis.connection import ConnectionLost, RedisError
from ...tasks import end_tasks
from ..scripts.scripts import ScriptRunner

PUBLISH_INTERVAL = 2.0
"""How often (s) a process publishes."""

LIFE = 10_000
"""How long (ms) what a process published is kept."""

MAX_QUEUES = 200
"""How many queues a process names at most."""

MAX_PROCESSES = 100
"""How many processes are read, those that published last."""

# KEYS: the processes, this one's key. ARGV: its id, what it publishes, LIFE.
_PUBLISH = """
local clock = redis.call('TIME')
local now = clock[1] * 1000 + math.floor(clock[2] / 1000)
redis.call('SET', KEYS[2], ARGV[2], 'PX', ARGV[3])
redis.call('ZADD', KEYS[1], now, ARGV[1])
redis.call('ZREMRANGEBYSCORE', KEYS[1], '-inf', now - ARGV[3])
redis.call('PEXPIRE', KEYS[1], ARGV[3])
"""

# KEYS: the processes. ARGV: what their keys begin with, how many. Returns id, time and text of each.
_READ = """
local found = {}
local ids = redis.call('ZREVRANGE', KEYS[1], 0, ARGV[2] - 1, 'WITHSCORES')
for i = 1, #ids, 2 do
  local text = redis.call('GET', ARGV[1] .. ids[i])
  if text then found[#found + 1] = {ids[i], ids[i + 1], text} end
end
return found
"""


@dataclass(frozen=True, slots=True)
class PublishedProcess:
    """What a process published at `at`, ms since the epoch on Redis's clock. `uptime` and `loop_delay` are ms.

    `full` tells for each queue that waits for a slot what is full: the "process", the "project" or the "origin".
    `queues` tells how many deliveries of a queue are in flight.
    """

    id: str
    at: int
    version: str = ""
    uptime: int = 0
    is_draining: bool = False
    in_flight: int = 0
    max_in_flight: int = 0
    loop_delay: float = 0.0
    queues: dict[str, int] = field(default_factory=dict[str, int])
    full: dict[str, str] = field(default_factory=dict[str, str])

    def age(self, now: int) -> int:
        """Return how old, in ms, this is at `now`."""
        return max(0, now - self.at)


class Processes:
    """The processes of one project. Each method raises RedisError or ConnectionLost."""

    def __init__(self, runner: ScriptRunner) -> None:
        self._runner = runner
        self._keys = runner.keys

    async def publish(self, process: PublishedProcess) -> None:
        """Publish what this process knows. `at` is Redis's, whatever it says."""
        names = PublishedProcess.__dataclass_fields__.keys() - {"id", "at"}
        text = strict_json.compact({name: getattr(process, name) for name in sorted(names)})
        keys = [self._keys("processes"), self._keys("process", process.id)]
        await self._runner.run_composed(_PUBLISH, keys, [process.id, text, LIFE])

    async def withdraw(self, id: str) -> None:
        """Remove what the process `id` published: it ends."""
        connection = self._runner.connection
        await connection.execute("ZREM", self._keys("processes"), id)
        await connection.execute("DEL", self._keys("process", id))

    async def read(self) -> list[PublishedProcess]:
        """Return what the processes published last, the newest first."""
        args = [self._keys("process", ""), MAX_PROCESSES]
        found = await self._runner.run_composed(_READ, [self._keys("processes")], args)
        return [read for id, at, text in found if (read := _read(id, int(float(at)), text)) is not None]


class Publisher:
    """Publishes what `describe` returns, again and again. `loop_delay` is how late, in ms, the event loop was."""

    def __init__(self, processes: Processes, describe: t.Callable[[], PublishedProcess]) -> None:
        self.loop_delay = 0.0
        self._processes = processes
        self._describe = describe
        self._task: asyncio.Task[None] | None = None

    def start(self) -> None:
        """Publish from now on."""
        self._task = asyncio.create_task(self._keep_publishing())

    async def stop(self, id: str) -> None:
        """Publish no more, and withdraw what the process `id` published. Raises RedisError or ConnectionLost."""
        await end_tasks(self._task)
        await self._processes.withdraw(id)

    async def publish(self) -> None:
        """Publish now; the next time corrects what fails."""
        with contextlib.suppress(RedisError, ConnectionLost):
            await self._processes.publish(self._describe())

    async def _keep_publishing(self) -> None:
        while True:
            await self.publish()
            due = time.monotonic() + PUBLISH_INTERVAL
            await asyncio.sleep(PUBLISH_INTERVAL)
            self.loop_delay = round(max(0.0, time.monotonic() - due) * 1000, 1)


def _read(id: str, at: int, text: str) -> PublishedProcess | None:
    """Return what a process of this or another version published; None for what cannot be read."""
    try:
        held: object = strict_json.parse(text)
    except ValueError:
        return None
    if not isinstance(held, dict):
        return None
    known = PublishedProcess.__dataclass_fields__.keys() - {"id", "at"}
    members = t.cast("dict[str, t.Any]", held)
    return PublishedProcess(id, at, **{name: members[name] for name in known & members.keys()})
