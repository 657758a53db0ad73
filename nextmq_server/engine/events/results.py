"""Results of jobs: what a job ended with. Callers wait for it without polling."""

from __future__ import annotations

import asyncio
import collections
import contextlib
import itertools
import json
import typing as t

from nextmq_handler.rules.results import RESULT_LIFE, JobResult, unfinished

from ...redis.connection import ConnectionLost
from ..queues.job import lines_of
from ..queues.jobs import Jobs, NoSuchJob, decoded
from ..queues.snapshots import snapshot_key
from ..scripts.scripts import QueueScripts, as_function
from .hub import EventHub
from .streams import Event, StreamId

FINISHED = frozenset(("completed", "failed"))

_LAST_EVENTS = frozenset(("completed", "failed", "removed"))

_STATE_KEYS = ("completed", "failed", "delayed", "active", "wait", "paused", "waiting-children", "prioritized")

LOOK_BACK = 500
"""How many of the newest events of a queue are searched for the end of a job that is gone."""

_PAGE = 100

# KEYS: the 8 of getStateV2, the job, its snapshot, the queue's events. ARGV: the 1 of getStateV2, the job's id;
# the last event at the moment when the job had not ended, or "".
# Returns the id of the last event; the state and the fields of the job; its snapshot; the event with which it
# ended.
_LUA = (
    as_function("getStateV2")
    + f"""
local job, snapshot, events, id, since = KEYS[9], KEYS[10], KEYS[11], ARGV[1], ARGV[2]
local last = redis.pcall('XREVRANGE', events, '+', '-', 'COUNT', 1)
if last.err then last = {{}} end
local seen = last[1] and last[1][1] or '0-0'

local function end_in(page)
  for _, entry in ipairs(page) do
    local fields = {{}}
    for i = 1, #entry[2], 2 do fields[entry[2][i]] = entry[2][i + 1] end
    if fields.jobId == id then
      local value = fields.event == 'completed' and fields.returnvalue
      value = value or fields.event == 'failed' and fields.failedReason
      if value then return {{entry[1], fields.event, value}} end
    end
    -- If nobody saw the job before it was gone, its end must be the last that happened to it.
    local is_other = fields.jobId == id and fields.event ~= 'retries-exhausted'
    if since == '' and (is_other or fields.event == 'cleaned') then return nil end
  end
  return #page == {_PAGE} and page or nil
end

local function find_end()
  local time = redis.call('TIME')
  local from = since ~= '' and '(' .. since or string.format('%.0f', time[1] * 1000 - {RESULT_LIFE})
  local to = seen
  for _ = 1, {LOOK_BACK // _PAGE} do
    local page = redis.call('XREVRANGE', events, to, from, 'COUNT', {_PAGE})
    local found = end_in(page)
    if found ~= page then return found end
    to = '(' .. page[#page][1]
  end
end

if redis.call('TYPE', job).ok ~= 'hash' or redis.call('HEXISTS', job, 'timestamp') == 0 then
  local kept = redis.call('GET', snapshot)
  return {{seen, false, kept, not kept and seen ~= '0-0' and find_end() or false}}
end
local state = getStateV2(KEYS, ARGV)
local found = {{state, redis.call('HMGET', job, 'returnvalue', 'failedReason', 'stacktrace', 'finishedOn')}}
if state == 'completed' or state == 'failed' then return {{seen, found, false, false}} end
-- A snapshot is of an earlier job with this id, or of an earlier end of this one.
redis.call('DEL', snapshot)
return {{seen, found, false, since ~= '' and find_end() or false}}
"""
)


class Look(t.NamedTuple):
    """The state of a job, and its result if it has ended; `seen` is the last event of its queue by then."""

    seen: str
    result: JobResult


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
            return (await _look(scripts, job_id)).result
        loop = asyncio.get_running_loop()
        deadline = loop.time() + wait / 1000
        async with self._listening(scripts, job_id) as (waiting, event):
            seen = ""
            while True:
                event.clear()
                # Only now its event cannot be missed. The job may have ended before.
                seen, result = await _look(scripts, job_id, since=seen)
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


async def _look(scripts: QueueScripts, job_id: str, *, since: str = "") -> Look:
    """Look at a job, which had not ended when `since` was the last event of its queue. Raises NoSuchJob."""
    own_keys = scripts.key(job_id), snapshot_key(scripts, job_id), scripts.keys["events"]
    answer = await scripts.run_composed(_LUA, [*scripts.all_keys(*_STATE_KEYS), *own_keys], [job_id, since])
    seen, found, snapshot, end = answer
    if end:
        return Look(seen, _result_of_event(*end))
    if snapshot:
        return Look(seen, json.loads(snapshot))
    if not found:
        raise NoSuchJob(job_id)
    state, (return_value, failed_reason, stacktrace, finished_on) = found
    if state not in FINISHED:
        return Look(seen, unfinished(state))
    result: JobResult = {
        "state": state,
        "returnValue": decoded(return_value),
        "failedReason": failed_reason,
        "stacktrace": lines_of(decoded(stacktrace)),
        "finishedOn": decoded(finished_on),
    }
    return Look(seen, result)


def _result_of_event(id: str, state: str, value: str) -> JobResult:
    """Return what the event tells of a job that another worker finished and did not keep."""
    return {
        "state": state,
        "returnValue": decoded(value) if state == "completed" else None,
        "failedReason": value if state == "failed" else None,
        "stacktrace": [],
        "finishedOn": StreamId.parse(id).ms,
    }
