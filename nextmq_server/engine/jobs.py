"""Jobs from the producer's side: add, look, count, progress."""

from __future__ import annotations

import json
import typing as t

from bullmq import job as bullmq_job
from bullmq import queue_keys

from nextmq_handler import strict_json

from .connection import RedisError
from .job import long_names
from .scripts import QueueScripts, ScriptRunner

STATES = ("waiting", "active", "delayed", "prioritized", "waiting-children", "completed", "failed", "paused")

QUEUE_KEYS: frozenset[str] = frozenset(t.cast("t.Any", queue_keys).QueueKeys().getKeys("queue"))
"""The names of a queue's own keys, which a job's id must not be."""

_new_job: t.Callable[..., t.Any] = t.cast("t.Any", bullmq_job).Job


class NoSuchJob(Exception):
    """There is no such job."""


class _Producer:
    """What bullmq's Job reads of a queue."""

    def __init__(self, scripts: QueueScripts) -> None:
        self.opts: dict[str, t.Any] = {}
        self.backend = None
        self.qualifiedName = scripts.keys[""].rstrip(":")


class Jobs:
    """The jobs of all queues under one BullMQ prefix."""

    def __init__(self, runner: ScriptRunner, prefix: str) -> None:
        self._runner = runner
        self._prefix = prefix

    def scripts(self, queue: str) -> QueueScripts:
        """The scripts of `queue`."""
        return QueueScripts(self._runner, queue, self._prefix)

    async def add(self, queue: str, name: str, data: t.Any, opts: dict[str, t.Any]) -> str:
        """Add a job with BullMQ's camelCase `opts`; its id, which may be of a job that was there already."""
        scripts = self.scripts(queue)
        job = _new_job(_Producer(scripts), name, data, opts, opts.get("jobId"))
        return str(await scripts.pack.addJob(job))

    async def get(self, queue: str, job_id: str) -> dict[str, t.Any]:
        """The job as the API shows it. Raises NoSuchJob."""
        scripts = self.scripts(queue)
        await _check_is_job(scripts, job_id)
        # The state first: a job that finishes in between is shown running with its result, not finished without.
        state: str = await scripts.pack.getState(job_id)
        flat: list[str] = await scripts.connection.execute("HGETALL", scripts.key(job_id))
        fields = dict(zip(flat[::2], flat[1::2], strict=True))
        if not fields:  # removed just now
            raise NoSuchJob(job_id)
        return {
            "id": job_id,
            "name": fields["name"],
            "state": state,
            "data": _decoded(fields.get("data")),
            "opts": long_names(_decoded(fields.get("opts")) or {}),
            "progress": _decoded(fields.get("progress", "0")),
            "attemptsMade": int(fields.get("atm") or 0),
            "attemptsStarted": int(fields.get("ats") or 0),
            "returnValue": _decoded(fields.get("returnvalue")),
            "failedReason": fields.get("failedReason"),
            "timestamp": _milliseconds(fields.get("timestamp")) or 0,
            "processedOn": _milliseconds(fields.get("processedOn")),
            "finishedOn": _milliseconds(fields.get("finishedOn")),
        }

    def removed(self, job_id: str, name: str, data: t.Any, opts: dict[str, t.Any]) -> dict[str, t.Any]:
        """What the API shows of a job that is gone already: what it was added with."""
        unknown = ("returnValue", "failedReason", "processedOn", "finishedOn")
        numbers = ("progress", "attemptsMade", "attemptsStarted", "timestamp")
        added = {"id": job_id, "name": name, "state": "unknown", "data": data, "opts": opts}
        return {**added, **dict.fromkeys(numbers, 0), **dict.fromkeys(unknown)}

    async def counts(self, queue: str) -> dict[str, int]:
        """How many jobs are in each state."""
        names = ["wait" if state == "waiting" else state for state in STATES]
        scripts = self.scripts(queue)
        numbers: list[int] = await scripts.run("getCounts", [scripts.keys[""]], names)
        return dict(zip(STATES, numbers, strict=True))

    async def update_progress(self, queue: str, job_id: str, progress: t.Any) -> None:
        """Store the progress of a running job. Raises NoSuchJob."""
        scripts = self.scripts(queue)
        await _check_is_job(scripts, job_id)
        keys = [scripts.key(job_id), scripts.keys["events"], scripts.keys["meta"]]
        if await scripts.run("updateProgress", keys, [job_id, json.dumps(progress)]) < 0:
            raise NoSuchJob(job_id)


async def _check_is_job(scripts: QueueScripts, job_id: str) -> None:
    """Raises NoSuchJob for an id whose key is not a job's: BullMQ keeps a queue's own keys beside its jobs'."""
    try:
        timestamp = await scripts.connection.execute("HGET", scripts.key(job_id), "timestamp")
    except RedisError as exc:
        if str(exc).startswith("WRONGTYPE"):
            raise NoSuchJob(job_id) from None
        raise
    if timestamp is None:
        raise NoSuchJob(job_id)


def _decoded(text: str | None) -> t.Any:
    if text is None:
        return None
    try:
        return strict_json.loads(text.encode("utf-8", "surrogateescape"))
    except ValueError:
        return text  # written by a client that does not encode, or whose JSON is none


def _milliseconds(text: str | None) -> int | None:
    return int(float(text)) if text else None
