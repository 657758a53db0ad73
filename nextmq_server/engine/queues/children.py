"""The children of a job in a flow: read their results, remove them or their dependency."""

from __future__ import annotations

import asyncio
import typing as t

from ...redis.connection import RedisConnection
from ..scripts.scripts import fields_of
from .jobs import Jobs, NoSuchJob, decoded

KINDS = ("processed", "unprocessed", "ignored", "failed")

_GONE, _REMOVED = -1, 0


class ChildKey(t.NamedTuple):
    """The queue of a child, which may differ from its parent's, and its id."""

    queue: str
    id: str

    def __str__(self) -> str:
        return f"{self.queue}:{self.id}"


class ChildDependencies(t.NamedTuple):
    """A job's children: completed with their values, open, ignored failures with their reasons, and failures that
    make the job fail.
    """

    processed: dict[ChildKey, t.Any]
    unprocessed: list[ChildKey]
    ignored: dict[ChildKey, str]
    failed: list[ChildKey]


class Children:
    """The children of jobs under one BullMQ prefix. Each method raises RedisError or ConnectionLost too."""

    def __init__(self, jobs: Jobs, prefix: str) -> None:
        self._jobs = jobs
        self._prefix = f"{prefix}:"

    async def values(self, queue: str, job_id: str) -> dict[ChildKey, t.Any]:
        """Return what the completed children returned. Raises NoSuchJob."""
        return {child: decoded(text) for child, text in (await self._hash(queue, job_id, "processed")).items()}

    async def ignored_failures(self, queue: str, job_id: str) -> dict[ChildKey, str]:
        """Return why children failed whose failures the job ignores. Raises NoSuchJob."""
        return await self._hash(queue, job_id, "failed")

    async def dependencies(self, queue: str, job_id: str, limit: int) -> ChildDependencies:
        """Return up to `limit` children of each kind. Raises NoSuchJob."""
        scripts = await self._jobs.scripts_of(queue, job_id)
        connection = scripts.connection
        processed, unprocessed, ignored, failed = await asyncio.gather(
            _scan(connection, "HSCAN", scripts.key(job_id, "processed"), limit),
            _scan(connection, "SSCAN", scripts.key(job_id, "dependencies"), limit),
            _scan(connection, "HSCAN", scripts.key(job_id, "failed"), limit),
            connection.execute("ZRANGE", scripts.key(job_id, "unsuccessful"), 0, limit - 1),
        )
        return ChildDependencies(
            {child: decoded(text) for child, text in self._pairs(processed).items()},
            self._children(unprocessed),
            self._pairs(ignored),
            self._children(failed),
        )

    async def counts(self, queue: str, job_id: str) -> dict[str, int]:
        """Return the number of children of each kind. Raises NoSuchJob."""
        scripts = await self._jobs.scripts_of(queue, job_id)
        parts = ("processed", "dependencies", "failed", "unsuccessful")
        keys = [scripts.key(job_id, part) for part in parts]
        numbers: list[int] = await scripts.run("getDependencyCounts", keys, KINDS)
        return dict(zip(KINDS, numbers, strict=True))

    async def remove_dependency(self, queue: str, job_id: str) -> bool:
        """Let the job's parent run without it. Return whether the parent waited for it. Raises NoSuchJob."""
        scripts = await self._jobs.scripts_of(queue, job_id)
        key = scripts.key(job_id)
        parent: str | None = await scripts.connection.execute("HGET", key, "parentKey")
        if not parent or self._child(parent) is None:
            return False
        answer = await scripts.run("removeChildDependency", [scripts.keys[""]], [key, parent])
        if answer == _GONE:
            raise NoSuchJob(job_id)
        return bool(answer == _REMOVED)  # the parent may not exist any more, or have this child's result already

    async def remove_unprocessed(self, queue: str, job_id: str) -> None:
        """Remove the children that have not finished and do not run, with their children. Raises NoSuchJob."""
        scripts = await self._jobs.scripts_of(queue, job_id)
        keys = [scripts.key(job_id), scripts.keys["meta"]]
        await scripts.run("removeUnprocessedChildren", keys, [scripts.keys[""], job_id])

    async def _hash(self, queue: str, job_id: str, part: str) -> dict[ChildKey, str]:
        scripts = await self._jobs.scripts_of(queue, job_id)
        return self._pairs(await scripts.connection.execute("HGETALL", scripts.key(job_id, part)))

    def _children(self, keys: t.Sequence[str]) -> list[ChildKey]:
        # A scan may return a member twice.
        return list(dict.fromkeys(child for key in keys if (child := self._child(key))))

    def _pairs(self, flat: t.Sequence[str]) -> dict[ChildKey, str]:
        return {child: text for key, text in fields_of(flat).items() if (child := self._child(key))}

    def _child(self, key: str) -> ChildKey | None:
        """Return the child of a key; None for a job of another project, which is never shown."""
        if not key.startswith(self._prefix):
            return None
        queue, _, job_id = key.removeprefix(self._prefix).partition(":")
        return ChildKey(queue, job_id) if job_id else None


async def _scan(connection: RedisConnection, command: str, key: str, limit: int) -> list[str]:
    """Return up to `limit` members of a set, or of a hash: then names and values alternate."""
    size = 2 * limit if command == "HSCAN" else limit
    cursor, found = "0", t.cast("list[str]", [])
    while True:
        cursor, part = await connection.execute(command, key, cursor, "COUNT", limit)
        found += part
        if cursor == "0" or len(found) >= size:
            return found[:size]
