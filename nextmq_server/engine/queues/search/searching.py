"""Search the jobs of a project: Redis is scanned, no index is kept."""

from __future__ import annotations

import asyncio
import time
import typing as t

from nextmq_handler.protocol import strict_json
from nextmq_handler.rules.limits import MAX_ID
from nextmq_handler.rules.search.filters import TEXT, Filter
from nextmq_handler.rules.search.matching import SearchedJob, matches
from nextmq_handler.rules.search.redaction import Redaction
from nextmq_handler.rules.views import JobView

from ..job import whole
from ..jobs import Jobs, decoded, view
from .conditions import searched
from .sources import SOURCES, Hit, ScanPlace, Source
from .walks import Found, Spot, Walk

MAX_LOOKED = 50_000
"""How many jobs one search looks at."""

MAX_SECONDS = 2.0
"""How long, in s, one search goes on."""

MAX_ANSWER = 4 * 1024 * 1024
"""How large, in bytes, the jobs of one answer are in Redis; the job that passes it is the last."""

MAX_COUNTED = 1_000_000
"""How many jobs a count looks at."""

_UNKNOWN = Source("", "unknown")


class FoundJob(t.NamedTuple):
    """A job that was found, as the API shows it."""

    queue: str
    job: JobView


class SearchResult(t.NamedTuple):
    """What a search found, how many jobs it looked at, of how many, and where it goes on.

    `back_to` is when the last job it looked at ended or was added, ms since the epoch.
    """

    jobs: list[FoundJob]
    looked: int
    total: int
    back_to: int | None
    spot: Spot | None


class Count(t.NamedTuple):
    """How many jobs match, how many were looked at, of how many, and where to go on."""

    matching: int
    looked: int
    total: int
    spot: Spot | None


class Search:
    """Searches the jobs of queues. Each method raises RedisError or ConnectionLost too."""

    def __init__(self, jobs: Jobs, queue_names: t.Callable[[], t.Awaitable[t.Sequence[str]]]) -> None:
        self._jobs = jobs
        self._queue_names = queue_names

    async def queues_of(self, filter: Filter, queue: str | None = None) -> list[str]:
        """Return the queues that a filter may match, or that one."""
        wanted = [term.value for term in filter.of("queue") if term.literal or "*" not in term.value]
        names = [queue] if queue else wanted[:1] or await self._queue_names()
        only = Filter(tuple(filter.of("queue")))
        return sorted(name for name in names if matches(only, SearchedJob(name, "", ""), 0))

    async def search(
        self,
        filter: Filter,
        queue: str | None,
        spot: Spot | None,
        *,
        limit: int,
        now: int,
        redaction: Redaction | None = None,
    ) -> SearchResult:
        """Return up to `limit` jobs that match at `now`, ms since the epoch, from `spot` on.

        With a `redaction`, what matches must do so without its secrets too.
        """
        queues = await self.queues_of(filter, queue)
        wanted_id = _id_of(filter)
        if wanted_id is not None and spot is None:
            found = [each for each in await self._by_id(queues, wanted_id) if _is_of(filter, each, now, redaction)]
            if found or filter.of("id"):
                following = None if filter.of("id") else _beginning(queues)
                return SearchResult([_shown(one) for one in found], len(found), len(found), None, following)
        if filter.of("id"):
            return SearchResult([], 0, 0, None, None)
        walk = Walk(self._jobs, queues, filter, now=now, whole=True, spot=spot)
        total = await walk.total()
        end = time.monotonic() + MAX_SECONDS
        jobs, left = list[FoundJob](), MAX_ANSWER
        while not walk.is_end and walk.looked < MAX_LOOKED and len(jobs) < limit and left > 0:
            for one in await walk.page(limit - len(jobs)):
                if one.hit.id != wanted_id and _is_shown(filter, one, now, redaction):
                    jobs.append(_shown(one))
                    left -= sum(map(len, one.hit.flat))
            if time.monotonic() >= end:
                break
        back_to = await self._time_of(walk.spot)
        return SearchResult(jobs, walk.looked, total, back_to, None if walk.is_end else walk.spot)

    async def existing(self, queue: str, ids: t.Sequence[str]) -> int:
        """Count those of the ids that jobs of the queue have."""
        scripts = self._jobs.scripts(queue)
        stored = await asyncio.gather(*(scripts.fields(job_id, "timestamp") for job_id in ids))
        return sum(added is not None for (added,) in stored)

    async def count(
        self, filter: Filter, queue: str, sources: t.Sequence[Source], spot: Spot | None, *, now: int
    ) -> Count:
        """Count jobs that match at `now`, ms since the epoch, for MAX_SECONDS at most, from `spot` on."""
        walk = Walk(self._jobs, [queue], filter, now=now, whole=False, spot=spot, sources=sources)
        total = await walk.total()
        if is_whole(filter) and not filter.of("queue"):
            return Count(total, total, total, None)
        end = time.monotonic() + MAX_SECONDS
        matching = 0
        while not walk.is_end and time.monotonic() < end:
            matching += len(await walk.page(MAX_COUNTED))
        return Count(matching, walk.looked, total, None if walk.is_end else walk.spot)

    async def _by_id(self, queues: t.Sequence[str], job_id: str) -> list[Found]:
        all_scripts = [self._jobs.scripts(queue) for queue in queues]
        stored = await asyncio.gather(*(scripts.fields(job_id, "timestamp") for scripts in all_scripts))
        there = [scripts for scripts, (added,) in zip(all_scripts, stored, strict=True) if added is not None]
        return [one for scripts in there if (one := await self._one(scripts.queue, job_id)) is not None]

    async def _one(self, queue: str, job_id: str) -> Found | None:
        scripts = self._jobs.scripts(queue)
        state: str = await scripts.pack.getState(job_id)
        flat: list[str] = await scripts.connection.execute("HGETALL", scripts.key(job_id))
        if not flat:  # removed just now
            return None
        source = next((source for source in SOURCES if source.state == state), _UNKNOWN._replace(state=state))
        hit = Hit(job_id, "", flat)
        return Found(queue, source, hit._replace(score=hit.fields.get("finishedOn", "")))

    async def _time_of(self, spot: Spot | None) -> int | None:
        """Return when the last job that was looked at ended or was added, ms since the epoch."""
        if spot is None:
            return None
        source = next(source for source in SOURCES if source.name == spot.source)
        last = spot.place.id or next(reversed(spot.place.anchors), "")
        if source.is_finished or not last:
            return whole(spot.place.score)
        try:
            [added] = await self._jobs.scripts(spot.queue).fields(last, "timestamp")
        except UnicodeEncodeError:  # another client made that id
            return None
        return whole(added)


def is_whole(filter: Filter) -> bool:
    """Return whether a filter matches every job of its queues and states."""
    return all(term.field in ("queue", "state") for term in filter.terms)


def _id_of(filter: Filter) -> str | None:
    """Return the id that a filter asks for, or may: a text alone may be an id."""
    terms = filter.of("id") or (filter.of(TEXT) if len(filter.terms) == 1 else [])
    return terms[0].value if terms and len(terms[0].value) <= MAX_ID else None


def _is_of(filter: Filter, found: Found, now: int, redaction: Redaction | None) -> bool:
    rest = filter if filter.of("id") else filter.without(TEXT)
    return matches(rest, searched(found.queue, found.source, found.hit), now) and _is_shown(
        rest, found, now, redaction
    )


def _is_shown(filter: Filter, found: Found, now: int, redaction: Redaction | None) -> bool:
    """Return whether a job that matches does so by what the caller may see: a search must not guess secrets."""
    if redaction is None:
        return True
    job = searched(found.queue, found.source, found.hit)
    data = strict_json.compact(redaction.bounded(decoded(job.data)))
    shown = job._replace(name=redaction.text(job.name), data=data, error=redaction.text(job.error))
    return matches(filter, shown, now)


def _shown(found: Found) -> FoundJob:
    return FoundJob(found.queue, view(found.hit.id, found.source.state, found.hit.flat))


def _beginning(queues: t.Sequence[str]) -> Spot | None:
    return Spot(queues[0], SOURCES[0].name, ScanPlace()) if queues else None
