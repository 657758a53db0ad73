"""Look at many queues at once: one script reads what a hundred of them hold."""

from __future__ import annotations

import asyncio
import typing as t

from nextmq_handler.protocol.clocks import monotonic
from nextmq_handler.rules.states import STORED_STATES

from ..scripts.holds import Held, Kind
from ..scripts.scripts import ScriptRunner
from .job import whole
from .queues import global_concurrency_of

AT_ONCE = 100
"""How many queues one script reads: it takes some ms of Redis's time."""

COUNT_INTERVAL = 10.0
"""How often (s) a process counts at most what ended in the last hour: that takes as long as all else together."""

MAX_COUNTED = 10_000
"""How many queues a process remembers the counts of."""

MAX_READ_OPTIONS = 4096
"""The longest options of a job, in bytes, in which the script looks for the delay that the producer asked for."""

# A job counts as waiting from when it was due, or from when it was started last: BullMQ keeps no time of a retry.
# For the scripts below: `due` returns that time in ms, `counts` the number of jobs in each of the states.
DUE = f"""
local function due(prefix, id)
  local added, opts, started = unpack(redis.call('HMGET', prefix .. id, 'timestamp', 'opts', 'processedOn'))
  local delay = 0
  if opts and #opts <= {MAX_READ_OPTIONS} and opts:find('"delay"', 1, true) then
    local ok, read = pcall(cjson.decode, opts)
    delay = ok and type(read) == 'table' and tonumber(read.delay) or 0
  end
  return math.max((tonumber(added) or 0) + delay, tonumber(started) or 0)
end
"""

# KEYS: for each queue what its keys begin with, and its hold; then the last deliveries.
# ARGV: "1" to count what ended in the last hour, the queues' names.
# Returns the time in ms and an answer for each queue; 0 for one that could not be read.
_LOOK = (
    DUE
    + """
local call, clock = redis.call, redis.call('TIME')
local now = clock[1] * 1000 + math.floor(clock[2] / 1000)
local minute = math.floor(now / 60000)
local counts_ended, last = ARGV[1] == '1', call('HMGET', KEYS[#KEYS], unpack(ARGV, 2))

local function ended(prefix, state)
  if not counts_ended then return 0 end
  local count, at, before = unpack(call('HMGET', prefix .. 'metrics:' .. state, 'count', 'prevTS', 'prevCount'))
  local age = at and minute - math.floor(tonumber(at) / 60000)
  if not age or age >= 60 then return 0 end
  local sum = tonumber(count) - tonumber(before)
  if age < 59 then
    local minutes = call('LRANGE', prefix .. 'metrics:' .. state .. ':data', 0, 58 - age)
    for _, jobs in ipairs(minutes) do sum = sum + jobs end
  end
  return sum
end

local function waiting(prefix, list)
  local length = call('LLEN', prefix .. list)
  if length == 0 then return 0 end
  local id = call('LINDEX', prefix .. list, -1)
  if id:sub(1, 2) == '0:' then return length - 1, call('LINDEX', prefix .. list, -2) end
  return length, id
end

local function look(number)
  local prefix, hold = KEYS[2 * number - 1], KEYS[2 * number]
  local oldest = 0
  local function consider(id)
    local at = id and due(prefix, id) or 0
    if at > 0 and (oldest == 0 or at < oldest) then oldest = at end
  end
  local wait, waitId = waiting(prefix, 'wait')
  local paused, pausedId = waiting(prefix, 'paused')
  local active, delayed = call('LLEN', prefix .. 'active'), call('ZCARD', prefix .. 'delayed')
  local prioritized = call('ZCARD', prefix .. 'prioritized')
  consider(waitId)
  consider(pausedId)
  if prioritized > 0 then consider(call('ZRANGE', prefix .. 'prioritized', 0, 0)[1]) end
  local nextDelayed = delayed > 0 and call('ZRANGE', prefix .. 'delayed', 0, 0, 'WITHSCORES')[2] or false
  local starts = call('GET', prefix .. 'limiter')
  return {
    {wait, active, delayed, prioritized, call('ZCARD', prefix .. 'waiting-children'),
      call('ZCARD', prefix .. 'completed'), call('ZCARD', prefix .. 'failed'), paused},
    call('HMGET', prefix .. 'meta', 'paused', 'concurrency', 'nextmq:concurrency', 'max', 'duration'),
    {starts, starts and call('PTTL', prefix .. 'limiter') or -2},
    call('HMGET', hold, 'kind', 'since', 'until', 'detail'),
    {oldest, nextDelayed and math.floor(tonumber(nextDelayed) / 4096) or 0},
    {ended(prefix, 'completed'), ended(prefix, 'failed')},
    last[number],
  }
end

local found = {}
for number = 1, #ARGV - 1 do
  local is_read, answer = pcall(look, number)
  found[number] = is_read and answer or 0
end
return {now, found}
"""
)


class QueueLook(t.NamedTuple):
    """What Redis holds of a queue. Times are ms since the epoch on Redis's clock, `now` is that of the look.

    `oldest` is when the oldest of the next jobs became due, `next_delayed` when the first delayed one will.
    `starts` is what the limiter's key counts, for `limiter_left` ms. `last_delivery` is JSON.
    """

    now: int
    counts: dict[str, int]
    is_paused: bool
    applied_concurrency: int | None
    global_concurrency: int | None
    rate_limit: dict[str, int] | None
    starts: int
    limiter_left: int
    hold: Held | None
    oldest: int | None
    next_delayed: int | None
    completed_last_hour: int
    failed_last_hour: int
    last_delivery: str | None

    @classmethod
    def of(cls, now: int, answer: t.Sequence[t.Any]) -> QueueLook:
        """Read the script's answer for one queue."""
        counts, meta, limiter, hold, times, ended, last_delivery = answer
        paused, applied, own, limit, duration = meta
        starts, left = limiter
        oldest, next_delayed = times
        kind, since, until, detail = hold
        return cls(
            now=now,
            counts=dict(zip(STORED_STATES, counts, strict=True)),
            is_paused=paused is not None,
            applied_concurrency=whole(applied),
            global_concurrency=global_concurrency_of(applied, own),
            rate_limit={"max": int(limit), "duration": int(duration)} if limit and duration else None,
            starts=whole(starts) or 0,
            limiter_left=max(0, left),
            hold=None if kind is None else Held.of(t.cast("Kind", kind), since, until, detail, now=now),
            oldest=oldest or None,
            next_delayed=next_delayed or None,
            completed_last_hour=ended[0],
            failed_last_hour=ended[1],
            last_delivery=last_delivery,
        )

    @property
    def waiting(self) -> int:
        """How many jobs may start as soon as nothing keeps them from it, without those that are due just now."""
        return self.counts["waiting"] + self.counts["paused"] + self.counts["prioritized"]

    @property
    def rest_left(self) -> int:
        """For how many ms no job starts, because of a hold or a rate limit."""
        if self.hold is not None and self.hold.until is not None:
            return self.hold.left
        if self.rate_limit is not None and self.starts < self.rate_limit["max"]:
            return 0
        return self.limiter_left


class QueueLooks:
    """Looks at the queues under one BullMQ prefix. `deliveries` is the key of their last deliveries.

    What ended in the last hour may be COUNT_INTERVAL old. `clock` is monotonic, in s.
    """

    def __init__(
        self, runner: ScriptRunner, prefix: str, deliveries: str, *, clock: t.Callable[[], float] = monotonic
    ) -> None:
        self._runner = runner
        self._prefix = prefix
        self._deliveries = deliveries
        self._clock = clock
        self._ended: dict[str, tuple[float, int, int]] = {}

    async def look(self, queues: t.Sequence[str]) -> list[QueueLook | None]:
        """Return what each queue holds; None for one that cannot be read. Raises RedisError or ConnectionLost."""
        parts = [queues[first : first + AT_ONCE] for first in range(0, len(queues), AT_ONCE)]
        found = await asyncio.gather(*map(self._part, parts))
        return [look for part in found for look in part]

    async def _part(self, queues: t.Sequence[str]) -> list[QueueLook | None]:
        since = self._clock() - COUNT_INTERVAL
        counts_ended = any(queue not in self._ended or self._ended[queue][0] <= since for queue in queues)
        keys = [key for queue in queues for key in (f"{self._prefix}:{queue}:", self._runner.keys("hold", queue))]
        args = ["1" if counts_ended else "", *queues]
        now, answers = await self._runner.run_composed(_LOOK, [*keys, self._deliveries], args)
        looks = [QueueLook.of(now, answer) if answer else None for answer in answers]
        if counts_ended:
            self._note_ended(queues, looks)
            return looks
        return [look and self._with_ended(queue, look) for queue, look in zip(queues, looks, strict=True)]

    def _note_ended(self, queues: t.Sequence[str], looks: t.Sequence[QueueLook | None]) -> None:
        if len(self._ended) >= MAX_COUNTED:  # of queues that are gone, too
            self._ended.clear()
        now = self._clock()
        for queue, look in zip(queues, looks, strict=True):
            if look is not None:
                self._ended[queue] = now, look.completed_last_hour, look.failed_last_hour

    def _with_ended(self, queue: str, look: QueueLook) -> QueueLook:
        _, completed, failed = self._ended.get(queue, (0.0, 0, 0))
        return look._replace(completed_last_hour=completed, failed_last_hour=failed)
