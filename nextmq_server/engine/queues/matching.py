"""Dry runs: how many jobs an operation on a queue would change now. Nothing is changed."""

from __future__ import annotations

import typing as t

from ...timers import now_ms
from ..scripts.scripts import QueueScripts

PIECE = 500
"""How many jobs or schedulers one script looks at: about 2 ms."""

_OF_DRAIN = ("wait", "paused", "prioritized")
_OF_OBLITERATE = ("wait", "paused", "prioritized", "delayed", "active", "completed", "failed")

# KEYS: the jobs of each state. Returns their numbers together.
_COUNT = """
local count = 0
for _, key in ipairs(KEYS) do
  local kind = redis.call('TYPE', key).ok
  if kind == 'list' then count = count + redis.call('LLEN', key) end
  if kind == 'zset' then count = count + redis.call('ZCARD', key) end
end
return count
"""

# KEYS: the schedulers, the delayed, prioritized, active and waiting-children jobs. ARGV: what the keys of the
# queue begin with, first and last position, "1" to count the delayed jobs.
# Returns how many schedulers it read, and how many of their next jobs wait: drain leaves those.
_SCHEDULED = """
local prefix, counts_delayed = ARGV[1], ARGV[4] == '1'
local found = redis.call('ZRANGE', KEYS[1], ARGV[2], ARGV[3], 'WITHSCORES')
local waiting = 0
for i = 1, #found, 2 do
  local id = 'repeat:' .. found[i] .. ':' .. found[i + 1]
  local times = redis.call('TYPE', prefix .. id).ok == 'hash'
    and redis.call('HMGET', prefix .. id, 'timestamp', 'finishedOn') or {}
  if times[1] and not times[2] then
    if redis.call('ZSCORE', KEYS[2], id) then
      if counts_delayed then waiting = waiting + 1 end
    elseif redis.call('ZSCORE', KEYS[3], id) then
      waiting = waiting + 1
    elseif not redis.call('LPOS', KEYS[4], id) and not redis.call('ZSCORE', KEYS[5], id) then
      waiting = waiting + 1
    end
  end
end
return {#found / 2, waiting}
"""

# KEYS: the jobs of a state, the schedulers. ARGV: what the keys of the queue begin with, first and last position,
# the state, a time in ms since the epoch. Returns how many jobs it read, and how many of them are older than that,
# as cleanJobsInSet counts the age of jobs that have not finished.
_OLDER = """
local prefix, state, before = ARGV[1], ARGV[4], tonumber(ARGV[5])
local is_list = redis.call('TYPE', KEYS[1]).ok == 'list'
local ids = redis.call(is_list and 'LRANGE' or 'ZRANGE', KEYS[1], ARGV[2], ARGV[3])
local older = 0
for _, id in ipairs(ids) do
  local job = prefix .. id
  local finished, processed, added, scheduler = unpack(
    redis.call('HMGET', job, 'finishedOn', 'processedOn', 'timestamp', 'rjk'))
  local since = added
  if state == 'delayed' then since = processed or added end
  if is_list then since = finished or processed or added end
  local next_millis = scheduler and redis.call('ZSCORE', KEYS[2], scheduler)
  local is_next = next_millis and id == 'repeat:' .. scheduler .. ':' .. next_millis
  local is_locked = state == 'active' and redis.call('EXISTS', job .. ':lock') == 1
  if not is_next and not is_locked and (tonumber(since or '0') or 0) <= before then older = older + 1 end
end
return {#ids, older}
"""


class Matching:
    """Counts what operations on one queue would change. Each method raises RedisError or ConnectionLost."""

    def __init__(self, scripts: QueueScripts) -> None:
        self._scripts = scripts

    async def drain(self, *, delayed: bool) -> int:
        """Count the jobs that drain would remove: those of schedulers stay."""
        scripts = self._scripts
        states = (*_OF_DRAIN, "delayed") if delayed else _OF_DRAIN
        keys = scripts.all_keys("repeat", "delayed", "prioritized", "active", "waiting-children")
        stay = await self._in_pieces(_SCHEDULED, keys, int(delayed))
        return max(0, await self._count(states) - stay)

    async def clean(self, state: str, grace: int) -> int:
        """Count the jobs in `state` that are older than `grace` ms, of which clean removes so many at a time."""
        before = now_ms() - grace
        if state in ("completed", "failed"):
            return await self.finished(state, before)
        return await self._in_pieces(_OLDER, self._scripts.all_keys(state, "repeat"), state, before)

    async def obliterate(self) -> int:
        """Count the jobs that obliterate would remove: parents that wait for children stay."""
        return await self._count(_OF_OBLITERATE)

    async def finished(self, state: str, before: int) -> int:
        """Count the jobs that ended in `state` before `before`, ms since the epoch."""
        return int(await self._scripts.execute("ZCOUNT", state, 0, before))

    async def delayed(self) -> int:
        """Count the delayed jobs."""
        return int(await self._scripts.execute("ZCARD", "delayed"))

    async def _count(self, states: t.Sequence[str]) -> int:
        return int(await self._scripts.run_composed(_COUNT, self._scripts.all_keys(*states), []))

    async def _in_pieces(self, source: str, keys: list[str], *args: int | str) -> int:
        """Run a script over a whole list or sorted set, PIECE by PIECE; return the sum of what it counts."""
        start, total = 0, 0
        while True:
            place = [self._scripts.keys[""], start, start + PIECE - 1]
            read, counted = await self._scripts.run_composed(source, keys, [*place, *args])
            total += int(counted)
            if read < PIECE:
                return total
            start += PIECE
