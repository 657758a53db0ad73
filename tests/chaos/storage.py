"""What BullMQ's keys hold after a run: every job, and each structure that it is in."""

from __future__ import annotations

import collections
import json
import typing as t

import redis

_LISTS = ("wait", "paused", "active")
_SORTED_SETS = ("prioritized", "delayed", "waiting-children", "completed", "failed")


class StoredJob(t.NamedTuple):
    """A job. `places` lists each structure as often as the job is in it; it waits for its `open_children`."""

    queue: str
    id: str
    places: tuple[str, ...]
    data: t.Any
    attempts_made: int
    return_value: t.Any
    finished_on: int
    open_children: int


class Storage:
    """Reads the queues of a project whose BullMQ prefix is its name."""

    def __init__(self, client: redis.Redis, project: str) -> None:
        self._client: t.Any = client
        self._project = project

    def workers(self) -> int:
        """Return how many queues have a worker."""
        return int(self._client.hlen(f"nextmq:{{{self._project}}}:workers"))

    def finished(self, queues: t.Iterable[str]) -> int:
        """Return how many jobs of these queues have ended."""
        keys = [f"{self._project}:{queue}:{state}" for queue in queues for state in ("completed", "failed")]
        return sum(self._client.zcard(key) for key in keys)

    def jobs(self, queue: str) -> list[StoredJob]:
        """Return all jobs of a queue that are in any structure."""
        base = f"{self._project}:{queue}"
        places: collections.defaultdict[str, list[str]] = collections.defaultdict(list)
        for name in _LISTS:
            for job_id in self._client.lrange(f"{base}:{name}", 0, -1):
                places[job_id].append(name)
        for name in _SORTED_SETS:
            for job_id in self._client.zrange(f"{base}:{name}", 0, -1):
                places[job_id].append(name)
        return [self._job(queue, f"{base}:{job_id}", job_id, found) for job_id, found in places.items()]

    def _job(self, queue: str, key: str, job_id: str, places: list[str]) -> StoredJob:
        fields: dict[str, str] = self._client.hgetall(key)
        return StoredJob(
            queue,
            job_id,
            tuple(places),
            json.loads(fields.get("data", "null")),
            int(fields.get("atm", 0)),
            json.loads(fields.get("returnvalue", "null")),
            int(fields.get("finishedOn", 0)),
            self._client.scard(f"{key}:dependencies"),
        )
