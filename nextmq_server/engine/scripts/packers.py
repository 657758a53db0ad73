"""BullMQ's Python classes without its connection: they pack the keys and arguments of its scripts.

This module and `scripts` are the only ones that import `bullmq`. Its classes are untyped and expect a queue and a
connection of their own; small stand-ins give them what they read.
"""

from __future__ import annotations

import functools
import typing as t

from bullmq import job as bullmq_job
from bullmq import job_scheduler as bullmq_scheduler
from bullmq import queue_keys as bullmq_keys
from bullmq import scripts as bullmq_packers

ADDERS = ("addStandardJob", "addDelayedJob", "addPrioritizedJob", "addParentJob")
"""The scripts that add a job."""

QUEUE_KEYS: frozenset[str] = frozenset(t.cast("t.Any", bullmq_keys).QueueKeys().getKeys("queue"))
"""The names of a queue's own keys, which a job's id must not be."""

RepeatStrategy = t.Callable[[int, dict[str, t.Any]], int | None]
"""Returns the next time (ms since the epoch) of a scheduler with a pattern, from now (ms) and its `repeat`."""

_decode: t.Callable[[dict[str, t.Any]], dict[str, t.Any]] = t.cast("t.Any", bullmq_job).optsFromJSON


class ScriptCall(t.NamedTuple):
    """A call of a script, with its keys and arguments."""

    script: str
    keys: list[str]
    args: list[t.Any]


def packers(prefix: str, queue: str, connection: object) -> t.Any:
    """Return bullmq's packers for a queue. They call the `commands` of `connection`."""
    return t.cast("t.Any", bullmq_packers).Scripts(prefix, queue, connection)


def bullmq_job_of(
    qualified_queue: str, name: str, data: t.Any, opts: dict[str, t.Any], job_id: str | None
) -> t.Any:
    """Return BullMQ's object of a new job, which its packers read. `opts` have BullMQ's long names."""
    return t.cast("t.Any", bullmq_job).Job(_Producer(qualified_queue), name, data, short_names(opts), job_id)


def add_call(prefix: str, queue: str, job: t.Any, *, is_parent: bool) -> ScriptCall:
    """Return the call that adds a job, an object of `bullmq_job_of`."""
    packed = _recording_packers(prefix, queue)
    if is_parent:
        return t.cast("ScriptCall", packed.addParentJob(job))
    if job.opts.get("delay"):
        return t.cast("ScriptCall", packed.addDelayedJob(job, job.opts["delay"]))
    if job.opts.get("priority"):
        return t.cast("ScriptCall", packed.addPrioritizedJob(job, job.opts["priority"]))
    return t.cast("ScriptCall", packed.addStandardJob(job, job.timestamp))


def job_scheduler(packed: t.Any, strategy: RepeatStrategy) -> t.Any:
    """Return BullMQ's JobScheduler over the packers of a queue."""
    return t.cast("t.Any", bullmq_scheduler).JobScheduler(_SchedulerQueue(packed), strategy)


def long_names(stored: object) -> dict[str, t.Any]:
    """Return job options as clients spell them, from what Redis holds; {} if that is not an object."""
    if not isinstance(stored, dict):
        return {}
    opts = _decode(t.cast("dict[str, t.Any]", stored))
    telemetry = {"metadata": opts.pop("tm", None), "omitContext": opts.pop("omc", None)}
    telemetry = {name: value for name, value in telemetry.items() if value is not None}
    return {**opts, "telemetry": telemetry} if telemetry else opts


def short_names(opts: dict[str, t.Any]) -> dict[str, t.Any]:
    """Return job options with the telemetry as Redis holds it; bullmq's packers know the other short names."""
    if "telemetry" not in opts:
        return opts
    telemetry = opts["telemetry"]
    stored = {"tm": telemetry.get("metadata"), "omc": telemetry.get("omitContext")}
    rest = {name: value for name, value in opts.items() if name != "telemetry"}
    return {**rest, **{name: value for name, value in stored.items() if value is not None}}


def _record(script: str, keys: list[str], args: list[t.Any], client: object = None) -> ScriptCall:  # noqa: ARG001 - bullmq passes it
    return ScriptCall(script, keys, args)


class _Recorder:
    """Stands in for bullmq's RedisConnection: returns the calls of its packers instead of making them."""

    conn = None
    commands: t.ClassVar = {script: functools.partial(_record, script) for script in ADDERS}


@functools.lru_cache(maxsize=1024)
def _recording_packers(prefix: str, queue: str) -> t.Any:
    return packers(prefix, queue, _Recorder)


class _Producer:
    """What bullmq's Job reads of a queue."""

    def __init__(self, qualified_name: str) -> None:
        self.opts: dict[str, t.Any] = {}
        self.backend = None
        self.qualifiedName = qualified_name


class _SchedulerQueue:
    """What bullmq's JobScheduler reads of a queue: its packers stand in for the backend that calls them."""

    def __init__(self, packed: t.Any) -> None:
        self.opts: dict[str, t.Any] = {}
        self.backend = packed
        self.qualifiedName = packed.keys[""].rstrip(":")
