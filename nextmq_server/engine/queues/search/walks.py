"""Walk through the jobs of some queues, newest first in each state, without taking Redis from others."""

from __future__ import annotations

import asyncio
import time
import typing as t

from nextmq_handler.rules.search.filters import Filter
from nextmq_handler.rules.search.matching import matches

from ...scripts.scripts import QueueScripts, pack
from ..jobs import Jobs
from .conditions import Conditions, searched
from .scanning import LARGE, MAX_JOBS, read_page
from .sources import SOURCES, Hit, ScanPlace, Source

REST_SHARE = 0.25
"""How long a walk rests for each second that it worked, in s. A page that waits for others counts as work."""

REST_AT = 0.002
"""How long a rest is at least, in s: timers are not exact to less."""

FIRST_JOBS = 250
"""How many jobs the first page of a walk looks at."""

LEAST_JOBS = 50
"""How many jobs a page looks at, however long the last one took."""

PAGE_TIME = 0.005
"""How long, in s, a page may take: the next is half as large if it takes longer, twice if less than half of it."""

_AT_ONCE = 100  # queues

# KEYS: what the keys of each queue's jobs begin with. ARGV: the packed sources: name, whether a list, lowest and
# highest score. Returns how many jobs they have in all.
_TOTAL = """
local total = 0
for _, source in ipairs(cmsgpack.unpack(ARGV[1])) do
  for _, queue in ipairs(KEYS) do
    if source[2] then
      total = total + redis.call('LLEN', queue .. source[1])
    else
      total = total + redis.call('ZCOUNT', queue .. source[1], source[3], source[4])
    end
  end
end
return total
"""


class Found(t.NamedTuple):
    """A job that matches, and where it is kept."""

    queue: str
    source: Source
    hit: Hit


class Spot(t.NamedTuple):
    """Where a walk is: a queue, the source there, and the place in it."""

    queue: str
    source: str
    place: ScanPlace


class Walk:
    """A walk through the jobs of `queues`, sorted names, that match `filter` at `now`, ms since the epoch.

    With `whole`, jobs come with their whole hash, else with `fields` and those that the filter reads. The walk
    goes on at `spot` if there is one. `sources` are by default those that the filter may match. Each method raises
    RedisError or ConnectionLost.
    """

    def __init__(
        self,
        jobs: Jobs,
        queues: t.Sequence[str],
        filter: Filter,
        *,
        now: int,
        whole: bool,
        spot: Spot | None = None,
        sources: t.Sequence[Source] | None = None,
        fields: t.Sequence[str] = (),
    ) -> None:
        self.looked = 0
        self.spot: Spot | None = spot
        self.is_end = False
        self._jobs = jobs
        self._filter = filter
        self._now = now
        self._whole = whole
        self._debt = 0.0
        self._largest: int = LARGE
        self._size = FIRST_JOBS
        self.sources = sources_of(filter) if sources is None else sources
        self._stops = [(queue, source) for queue in queues for source in self.sources]
        self._conditions = {
            is_finished: Conditions(filter, fields, is_finished=is_finished, now=now)
            for is_finished in (False, True)
        }
        self._least, self._most = _scores(filter, now)
        self._current = ScanPlace()
        self._index = 0
        if spot is not None:
            order = {source.name: index for index, source in enumerate(SOURCES)}
            at = (spot.queue, order.get(spot.source, 0))
            self._index = sum((queue, order[source.name]) < at for queue, source in self._stops)
        self._turn()

    async def page(self, most: int) -> list[Found]:
        """Return the next jobs that match, at most `most`; perhaps none, until `is_end`."""
        if self.is_end:
            return []
        spot, (queue, source) = self._current, self._stops[self._index]
        scripts = self._jobs.scripts(queue)
        began = time.monotonic()
        page = await read_page(
            scripts,
            source,
            spot,
            self._conditions[source.is_finished],
            jobs=self._size,
            hits=most,
            whole=self._whole,
            least=self._least if source.is_finished else "-inf",
            largest=self._largest,
        )
        self.looked += page.looked
        self._largest = page.largest or self._largest
        self._current = page.place
        self.spot = Spot(queue, source.name, page.place)
        found = [Found(queue, source, hit) for hit in page.hits if self._is_match(queue, source, hit)]
        if page.is_end:
            self._index += 1
            self._turn()
        worked = time.monotonic() - began
        self._size = next_size(self._size, worked)
        await self._rest(worked)
        return found

    def removed(self, count: int) -> None:
        """Note that `count` jobs of the last page have left their list: those behind have moved up."""
        if self.spot is not None and count and not self.is_end:
            queue, source = self._stops[self._index]
            if source.is_list and (queue, source.name) == self.spot[:2]:
                self._current = self._current._replace(start=max(0, self._current.start - count))
                self.spot = self.spot._replace(place=self._current)

    async def total(self) -> int:
        """Return how many jobs the whole walk looks at."""
        queues = list(dict.fromkeys(queue for queue, _ in self._stops))
        return await count_jobs(self._jobs, queues, self.sources, self._least, self._most)

    def _is_match(self, queue: str, source: Source, hit: Hit) -> bool:
        return matches(self._filter, searched(queue, source, hit), self._now)

    def _turn(self) -> None:
        if self._index >= len(self._stops):
            self.is_end = True
            return
        queue, source = self._stops[self._index]
        if self.spot is not None and (queue, source.name) == (self.spot.queue, self.spot.source):
            self._current = self.spot.place
        else:
            self._current = ScanPlace(score=self._most) if source.is_finished else ScanPlace()

    async def _rest(self, worked: float) -> None:
        self._debt += worked * REST_SHARE
        if self._debt >= REST_AT:
            await asyncio.sleep(self._debt)
            self._debt = 0.0


def next_size(size: int, took: float) -> int:
    """Return how many jobs the page after one of `size` jobs looks at, which took `took` s."""
    if took > PAGE_TIME:
        return max(LEAST_JOBS, size // 2)
    return min(MAX_JOBS, size * 2) if took < PAGE_TIME / 2 else size


def sources_of(filter: Filter) -> list[Source]:
    """Return where the jobs are that a filter may match."""
    states = {term.value for term in filter.of("state")}
    return [source for source in SOURCES if states <= {source.state}]


async def count_jobs(
    jobs: Jobs, queues: t.Sequence[str], sources: t.Sequence[Source], least: str = "-inf", most: str = "+inf"
) -> int:
    """Return how many jobs the sources have in all queues, the finished ones between two scores.

    Raises RedisError or ConnectionLost.
    """
    if not queues:
        return 0
    ranges = [
        (source.name, source.is_list, *((least, most) if source.is_finished else ("-inf", "+inf")))
        for source in sources
    ]
    total = 0
    for first in range(0, len(queues), _AT_ONCE):
        scripts: list[QueueScripts] = [jobs.scripts(queue) for queue in queues[first : first + _AT_ONCE]]
        total += await scripts[0].run_composed(_TOTAL, [one.keys[""] for one in scripts], [pack(ranges)])
    return total


def _scores(filter: Filter, now: int) -> tuple[str, str]:
    """Return the lowest and the highest score of finished jobs that a filter may match."""
    least = max((term.at(now) for term in filter.of("since")), default=None)
    most = min((term.at(now) for term in filter.of("until")), default=None)
    return "-inf" if least is None else str(least), "+inf" if most is None else str(most)
