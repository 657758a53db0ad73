"""The children of a job in a flow: read their results, remove them or their dependency."""

from __future__ import annotations

import asyncio
import typing as t

from ...redis.connection import RedisConnection
from ..scripts.scripts import QueueScripts, fields_of
from .jobs import Jobs, NoSuchJob, decoded
from .reading import FIRST_FIELD, read_children, read_fields

KINDS = ("processed", "unprocessed", "ignored", "failed")

MAX_VALUES = 4 * 1024 * 1024
"""About how many bytes of children's values `dependencies` returns; `values` returns all of them in pieces."""

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


class ChildrenPiece(t.NamedTuple):
    """Some of a job's children, and the place of the next ones: None after the last."""

    children: dict[ChildKey, t.Any]
    next: str | None


class Children:
    """The children of jobs under one BullMQ prefix. Each method raises RedisError or ConnectionLost too."""

    def __init__(self, jobs: Jobs, prefix: str) -> None:
        self._jobs = jobs
        self._prefix = f"{prefix}:"

    async def values(self, queue: str, job_id: str, place: str = FIRST_FIELD) -> ChildrenPiece:
        """Return what some completed children returned. Raises NoSuchJob."""
        found, following = await self._some(queue, job_id, "processed", place)
        return ChildrenPiece({child: decoded(text) for child, text in found.items()}, following)

    async def ignored_failures(self, queue: str, job_id: str, place: str = FIRST_FIELD) -> ChildrenPiece:
        """Return why some children failed whose failures the job ignores. Raises NoSuchJob."""
        found, following = await self._some(queue, job_id, "failed", place)
        return ChildrenPiece({**found}, following)

    async def dependencies(self, queue: str, job_id: str, limit: int) -> ChildDependencies:
        """Return up to `limit` children of each kind, with values of about MAX_VALUES. Raises NoSuchJob."""
        scripts = await self._jobs.scripts_of(queue, job_id)
        connection = scripts.connection
        processed, unprocessed, ignored, failed = await asyncio.gather(
            _fields(scripts, scripts.key(job_id, "processed"), limit),
            _members(connection, scripts.key(job_id, "dependencies"), limit),
            _fields(scripts, scripts.key(job_id, "failed"), limit),
            connection.execute("ZRANGE", scripts.key(job_id, "unsuccessful"), 0, limit - 1),
        )
        return ChildDependencies(
            {child: decoded(text) for child, text in self._pairs(processed).items()},
            self._children(unprocessed),
            self._pairs(ignored),
            self._children(failed),
        )

    async def names(self, child: ChildKey, limit: int) -> list[ChildKey]:
        """Return up to `limit` children of each kind that a job has."""
        return self._children(await read_children(self._jobs.scripts(child.queue), child.id, limit))

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

    async def _some(
        self, queue: str, job_id: str, part: str, place: str
    ) -> tuple[dict[ChildKey, str], str | None]:
        scripts = await self._jobs.scripts_of(queue, job_id)
        fields, following = await read_fields(scripts, scripts.key(job_id, part), place)
        return self._pairs(fields), following

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


async def _members(connection: RedisConnection, key: str, limit: int) -> list[str]:
    """Return up to `limit` members of a set."""
    cursor, found = "0", t.cast("list[str]", [])
    while True:
        cursor, part = await connection.execute("SSCAN", key, cursor, "COUNT", limit)
        found += part
        if cursor == "0" or len(found) >= limit:
            return found[:limit]


async def _fields(scripts: QueueScripts, key: str, limit: int) -> list[str]:
    """Return up to `limit` fields of a hash, each followed by its value; fewer if the values are large."""
    place: str | None = FIRST_FIELD
    found, size = t.cast("list[str]", []), 0
    while place is not None and len(found) < 2 * limit and size < MAX_VALUES:
        part, place = await read_fields(scripts, key, place)
        found += part
        size += sum(map(len, part))
    return found[: 2 * limit]
