"""BullMQ's Python classes without its connection: they pack the keys and arguments of its scripts.

This module and `scripts` are the only ones that import `bullmq`. Its classes are untyped and expect a queue and a
connection of their own; small stand-ins give them what they read.
"""

from __future__ import annotations

import functools
import types
import typing as t

from bullmq import job as bullmq_job
from bullmq import job_scheduler as bullmq_scheduler
from bullmq import queue_keys as bullmq_keys
from bullmq import scripts as bullmq_packers

ADDERS = {
    "addStandardJob": "waiting",
    "addDelayedJob": "delayed",
    "addPrioritizedJob": "prioritized",
    "addParentJob": "waiting-children",
}
"""The scripts that add a job, and the state that each gives it."""

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


def packers(prefix: str, queue: str, commands: t.Mapping[str, t.Callable[..., t.Any]]) -> t.Any:
    """Return bullmq's packers for a queue, which call the `commands`."""
    connection = types.SimpleNamespace(conn=None, commands=commands, getRedisVersion=_redis_version)
    return t.cast("t.Any", bullmq_packers).Scripts(prefix, queue, connection)


def bullmq_job_of(
    qualified_queue: str, name: str, data: t.Any, opts: dict[str, t.Any], job_id: str | None
) -> t.Any:
    """Return BullMQ's object of a new job, which its packers read. `opts` have BullMQ's long names."""
    return t.cast("t.Any", bullmq_job).Job(_queue(qualified_queue), name, data, short_names(opts), job_id)


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
    return t.cast("t.Any", bullmq_scheduler).JobScheduler(_queue(packed.keys[""].rstrip(":"), packed), strategy)


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


def _queue(qualified_name: str, packed: t.Any = None) -> object:
    """Return what bullmq's classes read of a queue. Its packers stand in for the backend that calls them."""
    return types.SimpleNamespace(opts={}, backend=packed, qualifiedName=qualified_name)


async def _redis_version() -> str:
    """Tell bullmq to use the newer variants of its scripts."""
    return "7.0.8"


def _record(script: str, keys: list[str], args: list[t.Any], client: object = None) -> ScriptCall:  # noqa: ARG001 - bullmq passes it
    return ScriptCall(script, keys, args)


@functools.lru_cache(maxsize=1024)
def _recording_packers(prefix: str, queue: str) -> t.Any:
    """Return packers that return the calls which add jobs instead of making them."""
    return packers(prefix, queue, {script: functools.partial(_record, script) for script in ADDERS})
