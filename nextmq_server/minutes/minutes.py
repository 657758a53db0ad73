"""Counts of each queue by the minute (for 48 h) and by the hour (for 90 days), over all server processes.

A process counts in memory, and adds what it has counted to Redis every 10 s, in the minute that Redis has then. A
process that is killed loses what it counted in its last 10 s.
"""

from __future__ import annotations

import asyncio
import logging
import typing as t

from nextmq_handler.protocol.outcomes import Completed, Failed

from ..dispatch.reports import Report
from ..engine.scripts.scripts import ScriptRunner, fields_of, flat
from ..redis.connection import ConnectionLost, RedisError
from ..tasks import end_tasks
from .counts import COMPLETED, FAILED, RETRIED, Counts

logger = logging.getLogger("nextmq_server")

FLUSH_INTERVAL = 10.0
"""How often, in s, a process adds its counts to Redis."""

MAX_COUNTED_QUEUES = 2000
"""Of how many queues a process counts between two writes; the others are left out."""

_AT_ONCE = 100  # queues in one script
_MINUTE, _HOUR, _DAY = 60_000, 3_600_000, 86_400_000
_KEEP_MINUTES, _KEEP_HOURS = 49 * _HOUR, 91 * _DAY
_ANY = ""  # stands for the queue in the counts that tell when any process ran

# KEYS: the prefix of the minutes of an hour, of the hours of a day. ARGV: how long each is kept in ms; then each
# queue with its counts. Those of one minute are one field: `position=count …`; of `o` the largest stays.
_ADD = """
local clock = redis.call('TIME')
local minute = math.floor(clock[1] / 60)
local hour = math.floor(minute / 60)
local day = math.floor(hour / 24)
local function add(key, field, life, counts)
  local sums, parts = {}, {}
  for _, text in ipairs({redis.call('HGET', key, field) or '', counts}) do
    for name, number in text:gmatch('(%w+)=(%d+)') do
      local sum = sums[name] or 0
      sums[name] = name == 'o' and math.max(sum, tonumber(number)) or sum + tonumber(number)
    end
  end
  for name, sum in pairs(sums) do parts[#parts + 1] = name .. '=' .. string.format('%.0f', sum) end
  redis.call('HSET', key, field, table.concat(parts, ' '))
  redis.call('PEXPIRE', key, life)
end
for i = 3, #ARGV, 2 do
  add(KEYS[1] .. ARGV[i] .. ':' .. hour, minute % 60, ARGV[1], ARGV[i + 1])
  add(KEYS[2] .. ARGV[i] .. ':' .. day, hour % 24, ARGV[2], ARGV[i + 1])
end
"""


class Span(t.NamedTuple):
    """A range of time to look at: how long it is, and how far its points are apart, in ms."""

    length: int
    step: int


RANGES = {
    "1h": Span(_HOUR, _MINUTE),
    "6h": Span(6 * _HOUR, 5 * _MINUTE),
    "24h": Span(_DAY, 15 * _MINUTE),
    "7d": Span(7 * _DAY, _HOUR),
    "90d": Span(90 * _DAY, _DAY),
}


class Minutes:
    """Counts the deliveries of one project."""

    def __init__(self, scripts: ScriptRunner) -> None:
        self._scripts = scripts
        self._counts: dict[str, Counts] = {}
        self._task: asyncio.Task[None] | None = None

    async def start(self) -> None:
        """Add what is counted to Redis from now on."""
        self._task = asyncio.create_task(self._repeat())

    async def stop(self) -> None:
        """Add what was counted, and stop."""
        await end_tasks(self._task)
        await self._try_to_flush()

    def count(self, report: Report) -> None:
        """Count a delivery."""
        counts = self._counts.get(report.queue) or self._of(report.queue)
        if counts is None:
            return
        verdict = report.verdict
        if isinstance(verdict, Completed):
            counts.numbers[COMPLETED] += 1
        elif isinstance(verdict, Failed):
            counts.numbers[FAILED if report.is_final else RETRIED] += 1
        counts.add_status(report.status)
        if report.status is not None:
            counts.add_run(report.duration)
        if report.wait is not None:
            counts.add_wait(report.wait)

    def note_oldest(self, queue: str, age: int) -> None:
        """Note how long, in ms, the oldest waiting job of a queue has waited."""
        counts = self._of(queue)
        if counts is not None:
            counts.oldest = max(counts.oldest or 0, age)

    async def flush(self) -> None:
        """Add what was counted to Redis. Raises RedisError or ConnectionLost."""
        counted, self._counts = self._counts, {}
        rows = [("", ""), *((queue, counts.text()) for queue, counts in counted.items())]
        keys = [self._scripts.keys("minutes", ""), self._scripts.keys("hours", "")]
        for first in range(0, len(rows), _AT_ONCE):
            some = [text for row in rows[first : first + _AT_ONCE] for text in row]
            await self._scripts.run_composed(_ADD, keys, [_KEEP_MINUTES, _KEEP_HOURS, *some])

    async def write(self, queue: str, counted: t.Mapping[int, Counts]) -> None:
        """Write what happened in a queue in minutes of the past, by when each began, ms since the epoch.

        It replaces what was counted then. Raises RedisError or ConnectionLost.
        """
        for hour in {at // _HOUR for at in counted}:
            for name in (queue, _ANY):
                key = self._scripts.keys("minutes", name, str(hour))
                fields = {
                    str(at % _HOUR // _MINUTE): "" if name == _ANY else counts.text()
                    for at, counts in counted.items()
                    if at // _HOUR == hour
                }
                await self._scripts.connection.execute("HSET", key, *flat(fields))
                await self._scripts.connection.execute("PEXPIRE", key, _KEEP_MINUTES)

    async def read(self, queue: str, span: Span) -> list[tuple[int, Counts]]:
        """Return the counts of the queue in each step of `span`, which ends now, with the time at which it begins.

        A step in which no server ran is left out. Raises RedisError or ConnectionLost.
        """
        seconds, _ = await self._scripts.connection.execute("TIME")
        end = int(seconds) * 1000
        start = (end - span.length) // span.step * span.step + span.step
        ran, counted = await asyncio.gather(
            self._fields(_ANY, span, start, end), self._fields(queue, span, start, end)
        )
        steps: dict[int, Counts] = {}
        for at in ran:
            steps.setdefault(at // span.step * span.step, Counts())
        for at, text in counted.items():
            steps.setdefault(at // span.step * span.step, Counts()).take(text)
        return [(at, steps[at]) for at in sorted(steps) if at >= start]

    async def last(self, queue: str, minutes: int) -> tuple[int, int]:
        """Return how many jobs completed and failed within about so many minutes. Raises as `read`."""
        seconds, _ = await self._scripts.connection.execute("TIME")
        end = int(seconds) * 1000
        start = (end // _MINUTE - minutes + 1) * _MINUTE
        total = Counts()
        for at, text in (await self._fields(queue, Span(end - start, _MINUTE), start, end)).items():
            if at >= start:
                total.take(text)
        return total.numbers.get(COMPLETED, 0), total.numbers.get(FAILED, 0)

    async def _fields(self, queue: str, span: Span, start: int, end: int) -> dict[int, str]:
        """Return the texts of the queue from `start` to `end`, by the time at which each minute or hour begins."""
        name, hash_length, length = ("minutes", _HOUR, _MINUTE) if span.step < _HOUR else ("hours", _DAY, _HOUR)
        hashes = range(start // hash_length, end // hash_length + 1)
        calls = [
            self._scripts.connection.execute("HGETALL", self._scripts.keys(name, queue, str(one)))
            for one in hashes
        ]
        return {
            one * hash_length + int(field) * length: text
            for one, texts in zip(hashes, await asyncio.gather(*calls), strict=True)
            for field, text in fields_of(texts).items()
        }

    def _of(self, queue: str) -> Counts | None:
        counts = self._counts.get(queue)
        if counts is None and len(self._counts) < MAX_COUNTED_QUEUES:
            counts = self._counts[queue] = Counts()
        return counts

    async def _repeat(self) -> None:
        while True:
            await self._try_to_flush()
            await asyncio.sleep(FLUSH_INTERVAL)

    async def _try_to_flush(self) -> None:
        try:
            await self.flush()
        except (RedisError, ConnectionLost) as exc:
            logger.warning("cannot write the counts of the last %.0f s: %s", FLUSH_INTERVAL, exc)
