"""Failed jobs and dead letters, grouped by what went wrong."""

from __future__ import annotations

import time
import typing as t

from nextmq_handler.rules.dead_letters import DeadLetter, read_dead_letter
from nextmq_handler.rules.search.filters import Filter
from nextmq_handler.rules.search.reasons import normalised

from ..delivery_log import FIELD as DELIVERIES
from ..delivery_log import deliveries
from ..job import whole
from ..jobs import Jobs, decoded
from .sources import SOURCES, Hit, Source
from .walks import Walk, count_jobs

MAX_FAILED = 10_000
"""How many failed jobs of a queue are looked at, the newest, and how many dead letters."""

MAX_SECONDS = 2.0
"""How long, in s, one look takes."""

MAX_GROUPS = 500
"""How many groups an answer has, those that failed last."""

SAMPLES = 5
"""How many ids a group names."""

_FAILED = [source for source in SOURCES if source.name == "failed"]
_LETTERS = [source for source in SOURCES if source.name in ("wait", "paused", "prioritized", "delayed")]
_FIELDS = ("name", "failedReason", DELIVERIES)


class FailureGroup(t.TypedDict):
    """Failures of one queue with one job name and one reason. Times are ms since the epoch."""

    queue: str
    name: str
    reason: str
    count: int
    first: int
    last: int
    sampleIds: list[str]
    lastStatus: int | None
    deadLetters: int
    isNew: bool


class FailureLook(t.NamedTuple):
    """The groups, the last failure first; how many jobs were looked at, and how many there are."""

    groups: list[FailureGroup]
    looked: int
    total: int


class _Failure(t.NamedTuple):
    queue: str
    id: str
    name: str
    reason: str
    at: int
    status: int | None
    is_letter: bool = False


class Failures:
    """Groups the failures of queues. Each method raises RedisError or ConnectionLost too."""

    def __init__(self, jobs: Jobs) -> None:
        self._jobs = jobs

    async def groups(
        self,
        queues: t.Sequence[str],
        dead_letter_queues: t.Collection[str],
        name: str | None,
        *,
        now: int,
        since: t.Mapping[str, int],
    ) -> FailureLook:
        """Group the failures of `queues` at `now`, ms since the epoch.

        A job and its dead letter are one failure. A group is new if it began after the time `since` of its queue.
        """
        grouping = _Grouping(set(queues), name, since)
        end = time.monotonic() + MAX_SECONDS
        looked = total = 0
        for queue in queues:
            total += await count_jobs(self._jobs, [queue], _FAILED)
            looked += await self._read(queue, _FAILED, _FIELDS, now, end, grouping.add_failed)
        for queue in dead_letter_queues:
            total += await count_jobs(self._jobs, [queue], _LETTERS)
            looked += await self._read(queue, _LETTERS, ("data",), now, end, grouping.add_letter)
        return FailureLook(grouping.groups(), looked, total)

    async def _read(
        self,
        queue: str,
        sources: t.Sequence[Source],
        fields: t.Sequence[str],
        now: int,
        end: float,
        add: t.Callable[[str, Hit], None],
    ) -> int:
        walk = Walk(self._jobs, [queue], Filter(), now=now, whole=False, sources=sources, fields=fields)
        while not walk.is_end and walk.looked < MAX_FAILED and time.monotonic() < end:
            for found in await walk.page(MAX_FAILED):
                add(queue, found.hit)
        return walk.looked


class _Grouping:
    """The groups so far."""

    def __init__(self, queues: t.Collection[str], name: str | None, since: t.Mapping[str, int]) -> None:
        self._queues = queues
        self._name = name
        self._since = since
        self._groups: dict[tuple[str, str, str], FailureGroup] = {}
        self._seen: dict[tuple[str, str], FailureGroup] = {}

    def add_failed(self, queue: str, hit: Hit) -> None:
        """Add a failed job."""
        fields = hit.fields
        entries = deliveries(fields.get(DELIVERIES))
        status = entries[-1]["status"] if entries else None
        at = whole(hit.score) or 0
        self._add(_Failure(queue, hit.id, fields.get("name", ""), fields.get("failedReason", ""), at, status))

    def add_letter(self, _queue: str, hit: Hit) -> None:
        """Add a dead letter: it counts as another failure only if its job is gone, or has failed anew."""
        letter: DeadLetter | None = read_dead_letter(decoded(hit.fields.get("data")))
        if letter is None or letter["queue"] not in self._queues:
            return
        known = self._seen.get((letter["queue"], letter["id"]))
        if known is not None:
            known["deadLetters"] += 1
            return
        of, id, name, reason = letter["queue"], letter["id"], letter["name"], letter["reason"]
        self._add(_Failure(of, id, name, reason, letter["failedAt"], letter["status"], is_letter=True))

    def groups(self) -> list[FailureGroup]:
        """Return the groups, the last failure first."""
        return sorted(self._groups.values(), key=lambda group: -group["last"])[:MAX_GROUPS]

    def _add(self, failure: _Failure) -> None:
        if self._name is not None and failure.name != self._name:
            return
        key = (failure.queue, failure.name, normalised(failure.reason))
        group = self._groups.get(key)
        if group is None:
            group = self._groups[key] = {
                "queue": failure.queue,
                "name": failure.name,
                "reason": key[2],
                "count": 0,
                "first": failure.at,
                "last": failure.at,
                "sampleIds": [],
                "lastStatus": failure.status,
                "deadLetters": 0,
                "isNew": False,
            }
        group["count"] += 1
        group["deadLetters"] += failure.is_letter
        if failure.at > group["last"]:
            group["last"], group["lastStatus"] = failure.at, failure.status
        group["first"] = min(group["first"], failure.at)
        if len(group["sampleIds"]) < SAMPLES:
            group["sampleIds"].append(failure.id)
        since = self._since.get(failure.queue)
        group["isNew"] = since is not None and group["first"] >= since
        self._seen[failure.queue, failure.id] = group
