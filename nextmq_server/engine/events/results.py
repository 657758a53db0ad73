"""Results of jobs: what a job ended with. Callers wait for it without polling."""

from __future__ import annotations

import asyncio
import collections
import contextlib
import itertools
import typing as t

from nextmq_handler.rules.results import JobResult, unfinished

from ...redis.connection import ConnectionLost
from ..queues.job import lines_of
from ..queues.jobs import Jobs, NoSuchJob, decoded
from ..queues.snapshots import read_snapshot
from ..scripts.scripts import QueueScripts, as_function
from .hub import EventHub
from .streams import Event

FINISHED = frozenset(("completed", "failed"))

_LAST_EVENTS = frozenset(("completed", "failed", "removed"))

_STATE_KEYS = ("completed", "failed", "delayed", "active", "wait", "paused", "waiting-children", "prioritized")

# KEYS: the 8 of getStateV2, the job. ARGV: the 1 of getStateV2, the job's id.
_LUA = (
    as_function("getStateV2")
    + """
if redis.call('TYPE', KEYS[9]).ok ~= 'hash' then return false end
if redis.call('HEXISTS', KEYS[9], 'timestamp') == 0 then return false end
return {
  getStateV2(KEYS, ARGV),
  redis.call('HMGET', KEYS[9], 'returnvalue', 'failedReason', 'stacktrace', 'finishedOn'),
}
"""
)


class Results:
    """The results of the jobs of all queues under one BullMQ prefix."""

    def __init__(self, jobs: Jobs, events: EventHub) -> None:
        self._jobs = jobs
        self._events = events
        self._waiting: dict[str, _Waiting] = {}

    async def get(self, queue: str, job_id: str, *, wait: int) -> JobResult:
        """Return what the job ended with; if it does not end within `wait` ms, its state.

        Raises NoSuchJob if the job is gone and its result too, RedisError or ConnectionLost.
        """
        scripts = self._jobs.scripts(queue)
        if not wait:
            return await _look(scripts, job_id)
        loop = asyncio.get_running_loop()
        deadline = loop.time() + wait / 1000
        async with self._listening(scripts, job_id) as (waiting, event):
            while True:
                event.clear()
                # Only now its event cannot be missed. The job may have ended before.
                result = await _look(scripts, job_id)
                left = deadline - loop.time()
                if result["state"] in FINISHED or left <= 0:
                    return result
                with contextlib.suppress(TimeoutError):
                    async with asyncio.timeout(left):
                        await event.wait()
                if waiting.has_ended:
                    raise ConnectionLost("there are no more events")

    def look_again(self, queue: str) -> None:
        """Tell those who wait that jobs of the queue were removed in bulk: BullMQ writes no events for that."""
        waiting = self._waiting.get(self._jobs.scripts(queue).keys["events"])
        if waiting is not None:
            waiting.look_again()

    @contextlib.asynccontextmanager
    async def _listening(
        self, scripts: QueueScripts, job_id: str
    ) -> t.AsyncGenerator[tuple[_Waiting, asyncio.Event]]:
        """Give an event that is set when the job may have ended, or when no events will come."""
        key = scripts.keys["events"]
        waiting, event = self._waiting.setdefault(key, _Waiting()), asyncio.Event()
        waiting.calls[job_id].add(event)
        try:
            await self._events.join(key, waiting)
            yield waiting, event
        finally:
            waiting.calls[job_id].discard(event)
            if not waiting.calls[job_id]:
                del waiting.calls[job_id]
            if not waiting.calls:
                del self._waiting[key]
                self._events.leave(key, waiting)


class _Waiting:
    """The `calls` that wait for jobs of one queue, by job id: an event wakes only those that wait for its job."""

    def __init__(self) -> None:
        self.calls: collections.defaultdict[str, set[asyncio.Event]] = collections.defaultdict(set)
        self.has_ended = False

    def take(self, event: Event) -> None:
        """Take the hub's next event."""
        if event.name in _LAST_EVENTS:
            for call in self.calls.get(event.fields.get("jobId", ""), ()):
                call.set()

    def look_again(self) -> None:
        """Wake all calls: any of the jobs may have changed."""
        for call in itertools.chain.from_iterable(self.calls.values()):
            call.set()

    def end(self, failure: Exception | None) -> None:  # noqa: ARG002 - part of Sink
        """End all calls: no more events come."""
        self.has_ended = True
        self.look_again()


async def _look(scripts: QueueScripts, job_id: str) -> JobResult:
    keys = [*scripts.all_keys(*_STATE_KEYS), scripts.key(job_id)]
    found: list[t.Any] | None = await scripts.run_composed(_LUA, keys, [job_id])
    if found is None:
        snapshot = await read_snapshot(scripts, job_id)
        if snapshot is None:
            raise NoSuchJob(job_id)
        return snapshot
    state, (return_value, failed_reason, stacktrace, finished_on) = found
    if state not in FINISHED:
        return unfinished(state)
    return {
        "state": state,
        "returnValue": decoded(return_value),
        "failedReason": failed_reason,
        "stacktrace": lines_of(decoded(stacktrace)),
        "finishedOn": decoded(finished_on),
    }
