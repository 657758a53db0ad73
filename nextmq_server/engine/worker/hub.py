"""The hub: all queues of this process on one event loop and a handful of connections."""

from __future__ import annotations

import asyncio
import contextlib
import heapq
import itertools
import time
import typing as t

from nextmq_handler._package import __version__

from ...redis.address import Address
from ...redis.connection import ConnectionLost, RedisConnection
from ...redis.keys import ProjectKeys
from ..queues.queues import apply_worker_concurrency, meta_rate_limit
from ..scripts.scripts import QueueScripts, ScriptRunner
from .gate import FETCH
from .markers import QUEUES_PER_WATCHER, Watcher
from .move_to_finished import FINISH
from .options import RunnerOptions
from .processes import MAX_QUEUES, Processes, PublishedProcess, Publisher
from .runner import QueueRunner
from .running import Process
from .slots import Slots
from .upkeep import Instance, Upkeep


class Hub:
    """Runs the queues that were added to it. `instance_id` names this process in lock tokens.

    `slots` limits what is in flight; several hubs may share it.
    """

    def __init__(
        self,
        address: Address,
        keys: ProjectKeys,
        *,
        prefix: str,
        instance_id: str,
        alone: bool,
        slots: Slots | None = None,
    ) -> None:
        self.prefix = prefix
        self.connection = RedisConnection(address, name=f"nextmq-{instance_id}")
        self.scripts = ScriptRunner(self.connection, keys)
        self.queues: dict[str, QueueRunner] = {}
        self._address = address
        self._all_slots = slots or Slots()
        self._slots = self._all_slots.for_project()
        self._instance = Instance(instance_id, self.connection, keys, alone=alone)
        self.processes = Processes(self.scripts)
        self._started_at = time.monotonic()
        self._is_draining = False
        self._upkeep = Upkeep(self.queues, self.connection, self._instance)
        self._publisher = Publisher(self.processes, self.described)
        self._watchers: list[Watcher] = []
        self._adding = asyncio.Lock()

    async def start(self) -> None:
        """Connect, load the functions, start the upkeep. Raises ConfigurationError."""
        await self.connection.connect()
        for script in (FETCH, FINISH):
            await script.load(self.scripts)
        await self._instance.beat()
        self._upkeep.start()
        self._publisher.start()

    async def add(self, name: str, options: RunnerOptions, process: Process) -> None:
        """Run queue `name`; if it runs already, change its options. Raises RedisError or ConnectionLost."""
        async with self._adding:
            scripts = QueueScripts(self.scripts, name, self.prefix)
            await apply_worker_concurrency(scripts, options.concurrency)
            queue = self.queues.get(name)
            slots = self._slots.for_origin(options.origin)
            if queue is not None:
                queue.change(options, slots)
                return
            watcher = await self._free_watcher()
            options.global_rate_limit = await meta_rate_limit(scripts)
            queue = QueueRunner(
                scripts,
                options,
                process,
                slots=slots,
                new_token=self._instance.new_token,
                on_cold=watcher.on_cold,
            )
            await self._upkeep.put_back_orphans(queue)
            self.queues[name] = watcher.queues[name] = queue
            queue.poke()

    def pause(self, name: str) -> None:
        """Stop fetching from queue `name` until it is added again. Its jobs in flight finish."""
        if name in self.queues:
            self.queues[name].pause()

    def poke(self, name: str) -> None:
        """Fetch from queue `name` now: a limit that it rested for has changed."""
        if name in self.queues:
            self.queues[name].look_again()

    async def read_rate_limit(self, name: str) -> None:
        """Read the global rate limit of queue `name`, which has changed. Raises RedisError or ConnectionLost."""
        queue = self.queues.get(name)
        if queue is not None:
            queue.options.global_rate_limit = await meta_rate_limit(queue.scripts)
            queue.look_again()

    async def stop(self, *, grace: float, farewell: t.Callable[[], t.Awaitable[None]] | None = None) -> None:
        """Stop fetching, wait `grace` s for the deliveries in flight, put the other jobs back, disconnect.

        `farewell` is called before that, with the connection still open.
        """
        self._is_draining = True
        await self._publisher.publish()
        for queue in self.queues.values():
            queue.pause()  # first, so that what `hurry` puts back meanwhile is not fetched again
        for watcher in self._watchers:
            await watcher.reader.stop()
        await asyncio.gather(*(queue.stop(grace) for queue in self.queues.values()))
        await self._upkeep.stop()
        if farewell is not None:
            await farewell()
        with contextlib.suppress(ConnectionLost):
            await self._publisher.stop(self._instance.id)
            await self._instance.leave()
        await self.connection.close()

    def hurry(self) -> None:
        """End a `stop` that waits: put the jobs in flight back now."""
        for queue in self.queues.values():
            queue.abort_all()

    def described(self) -> PublishedProcess:
        """Return what this process knows now of itself and its queues."""
        total = self._all_slots.total
        queues = list(self.queues.items())
        busy = [(name, len(queue.active)) for name, queue in queues if queue.active]
        return PublishedProcess(
            self._instance.id,
            at=0,
            version=__version__,
            uptime=round((time.monotonic() - self._started_at) * 1000),
            is_draining=self._is_draining,
            in_flight=total.in_flight,
            max_in_flight=total.size,
            loop_delay=self._publisher.loop_delay,
            queues=dict(heapq.nlargest(MAX_QUEUES, busy, key=lambda each: each[1])),
            full=dict(itertools.islice(_shortages(queues), MAX_QUEUES)),
        )

    async def _free_watcher(self) -> Watcher:
        for watcher in self._watchers:
            if len(watcher.queues) < QUEUES_PER_WATCHER:
                return watcher
        name = f"nextmq-{self._instance.id}-{len(self._watchers)}"
        watcher = Watcher(self._address, self.scripts, name=name)
        await watcher.reader.start()
        self._watchers.append(watcher)
        return watcher


def _shortages(queues: t.Iterable[tuple[str, QueueRunner]]) -> t.Iterator[tuple[str, str]]:
    return ((name, shortage) for name, queue in queues if (shortage := queue.shortage) is not None)
