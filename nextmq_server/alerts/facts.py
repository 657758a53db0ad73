"""What alerts are judged by: a look at each queue of a project."""

from __future__ import annotations

import typing as t

from ..engine.queues.jobs import Jobs
from ..engine.queues.queues import Queues
from ..workers.registry import Registry

AT_ONCE = 50
"""How many queues one script reads."""

# KEYS: for each queue what its keys begin with, and its hold. Returns for each: how many jobs wait, how many are
# delayed, how long the oldest has waited (ms, -1 for none), whether it is paused, the kind of its hold and how
# long that lasts, by how much the first schedule is overdue. A job that has run counts from when it did.
_LOOK = """
local clock = redis.call('TIME')
local now = clock[1] * 1000 + math.floor(clock[2] / 1000)
local found = {}
for i = 1, #KEYS, 2 do
  local prefix, waiting, age = KEYS[i], 0, -1
  for _, list in ipairs({'wait', 'paused'}) do
    local length = redis.call('LLEN', prefix .. list)
    waiting = waiting + length
    for position = -1, -math.min(length, 2), -1 do
      local id = redis.call('LINDEX', prefix .. list, position)
      local job = id and redis.call('HMGET', prefix .. id, 'timestamp', 'delay', 'processedOn')
      if job and job[1] then
        local due = math.max(job[1] + (tonumber(job[2]) or 0), tonumber(job[3]) or 0)
        age = math.max(age, now - due)
        break
      end
    end
  end
  waiting = waiting + redis.call('ZCARD', prefix .. 'prioritized')
  local hold = redis.call('HMGET', KEYS[i + 1], 'kind', 'since')
  local scheduled = redis.call('ZRANGE', prefix .. 'repeat', 0, 0, 'WITHSCORES')[2]
  found[#found + 1] = {
    waiting, redis.call('ZCARD', prefix .. 'delayed'), age, redis.call('HEXISTS', prefix .. 'meta', 'paused'),
    hold[1] or '', hold[2] and now - hold[2] or 0, scheduled and math.floor(now - scheduled) or 0,
  }
end
return {now, found}
"""


class QueueFacts(t.NamedTuple):
    """What holds of a queue at the moment. Ages are ms.

    `hold` is the kind of its hold, `held_for` how long it lasts. `overdue` is by how much its next schedule is
    late. `has_worker`: an app is registered, or a BullMQ worker connected. `is_of_dead_letters`: other queues send
    their dead letters here.
    """

    queue: str
    waiting: int
    delayed: int
    oldest_waiting: int | None
    is_paused: bool
    hold: str | None
    held_for: int
    overdue: int
    has_worker: bool = True
    is_of_dead_letters: bool = False


class QueueWatch:
    """Looks at all queues of a project."""

    def __init__(
        self,
        jobs: Jobs,
        queues: Queues,
        registry: Registry,
        queue_names: t.Callable[[], t.Awaitable[t.Sequence[str]]],
    ) -> None:
        self._jobs = jobs
        self._queues = queues
        self._registry = registry
        self._queue_names = queue_names

    async def look(self) -> tuple[int, list[QueueFacts]]:
        """Return Redis's time, ms since the epoch, and the facts of each queue.

        Raises RedisError or ConnectionLost.
        """
        names = await self._queue_names()
        now, facts = 0, list[QueueFacts]()
        for first in range(0, len(names), AT_ONCE):
            now, some = await self._facts(names[first : first + AT_ONCE])
            facts += some
        registered = self._registry.all()
        letters = {worker.options.dead_letter for worker in registered.values()}
        return now, [await self._with_worker(one, one.queue in registered, one.queue in letters) for one in facts]

    async def _facts(self, queues: t.Sequence[str]) -> tuple[int, list[QueueFacts]]:
        some = [self._jobs.scripts(queue) for queue in queues]
        keys = [key for scripts in some for key in (scripts.keys[""], scripts.own_key("hold"))]
        now, found = await some[0].run_composed(_LOOK, keys, [])
        facts = [
            QueueFacts(
                queue, waiting, delayed, None if age < 0 else age, bool(paused), hold or None, held_for, overdue
            )
            for queue, (waiting, delayed, age, paused, hold, held_for, overdue) in zip(queues, found, strict=True)
        ]
        return now, facts

    async def _with_worker(self, facts: QueueFacts, is_registered: bool, is_of_letters: bool) -> QueueFacts:
        """Return the facts with what they say of workers. BullMQ's own are asked for only if that matters."""
        has_worker = is_registered
        if not is_registered and not is_of_letters and facts.waiting + facts.delayed:
            has_worker = bool(await self._queues.workers(facts.queue))
        return facts._replace(has_worker=has_worker, is_of_dead_letters=is_of_letters)
