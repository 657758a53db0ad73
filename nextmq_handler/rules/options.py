"""BullMQ's options in snake_case, as users write them, and the camelCase they are sent as."""

from __future__ import annotations

import math
import typing as t
from datetime import datetime, timedelta

from .._deprecated import deprecated
from ..errors import ConfigurationError
from ..protocol.arguments import duration_ms, refuse_s, timestamp_ms
from .limits import MAX_DELAY_MS

if t.TYPE_CHECKING:
    from typing_extensions import TypeVar

    Data = TypeVar("Data", default=t.Any)
else:
    Data = t.TypeVar("Data")

Duration = int | timedelta
"""A whole number of ms, as in BullMQ, or a timedelta."""

Moment = int | datetime
"""Ms since the epoch, as in BullMQ, or an aware datetime."""


class Backoff(t.TypedDict, total=False):
    """How long to wait between attempts: `delay` is ms or a timedelta, `jitter` its random share, 0 to 1."""

    type: t.Required[t.Literal["fixed", "exponential"]]
    delay: t.Required[int | timedelta]
    jitter: float


class CustomBackoff(t.TypedDict, total=False):
    """Wait as the worker's strategy `type` says; `jitter`, 0 to 1, is the random share of it."""

    type: t.Required[str]
    jitter: float


class KeepJobs(t.TypedDict, total=False):
    """Which finished jobs to keep: at most `count`, none older than `age`, s or a timedelta."""

    age: int | timedelta
    count: int


class Deduplication(t.TypedDict, total=False):
    """Add no second job with this `id` until the first one ends, or for `ttl`, ms or a timedelta.

    `extend` restarts the `ttl` with each duplicate. `replace` puts the newest data into a job that is still
    delayed. `keep_last_if_active` adds the last duplicate after the active job has finished.
    """

    id: t.Required[str]
    ttl: int | timedelta
    extend: bool
    replace: bool
    keep_last_if_active: bool


class ParentJob(t.TypedDict):
    """The job that waits for this one: its id and the name of its queue."""

    id: str
    queue_name: str


class Telemetry(t.TypedDict, total=False):
    """The trace that the job continues: `metadata` is a propagator's carrier as JSON text.

    The library fills it in if OpenTelemetry is in use. With `omit_context` the processor does not join the trace.
    """

    metadata: str
    omit_context: bool


class ScheduleOptions(t.TypedDict, total=False):
    """The options of a schedule's jobs: those of `Queue.add` that several jobs can share."""

    attempts: int
    backoff: int | timedelta | Backoff | CustomBackoff
    keep_logs: int
    lifo: bool
    priority: int
    remove_on_complete: bool | int | KeepJobs
    remove_on_fail: bool | int | KeepJobs
    size_limit: int
    stack_trace_limit: int


class JobOptions(ScheduleOptions, total=False):
    """The options of `Queue.add`, with BullMQ's names and meanings.

    Durations are ms or a timedelta, `timestamp` is ms since the epoch or an aware datetime, `size_limit` is
    bytes of JSON in UTF-8.
    """

    delay: int | timedelta
    job_id: str
    timestamp: int | datetime
    deduplication: Deduplication
    parent: ParentJob
    fail_parent_on_failure: bool
    continue_parent_on_failure: bool
    ignore_dependency_on_failure: bool
    remove_dependency_on_failure: bool
    telemetry: Telemetry


class NewJob(t.TypedDict, t.Generic[Data], total=False):
    """A job of `Queue.add_bulk`; `data` is any JSON, or a pydantic model or dataclass."""

    name: t.Required[str]
    data: Data
    opts: JobOptions


class Repeat(t.TypedDict, total=False):
    """When a job scheduler adds its jobs: `every` so often, ms or a timedelta, or by the cron `pattern`.

    `tz` is the time zone of the pattern, `limit` the most jobs to add. `start_date` and `end_date` are ms since
    the epoch or an aware datetime. `immediately` adds the first job now. `offset`, ms or a timedelta, shifts
    `every`.
    """

    every: int | timedelta
    pattern: str
    tz: str
    limit: int
    start_date: int | datetime
    end_date: int | datetime
    immediately: bool
    offset: int | timedelta


class JobTemplate(t.TypedDict, total=False):
    """What a job scheduler's jobs are made of."""

    name: str
    data: t.Any
    opts: JobOptions


class QueueOptions(t.TypedDict, total=False):
    """The options that the jobs of a flow have by default, in one queue."""

    default_job_options: JobOptions


class FlowJob(t.TypedDict, total=False):
    """A job of a flow; it waits until its `children` have finished. `data` as in `NewJob`."""

    name: t.Required[str]
    queue_name: t.Required[str]
    data: t.Any
    opts: JobOptions
    children: t.Sequence[FlowJob]


_AS_THEY_ARE = ("data", "children")
_DURATIONS = ("backoff", "delay", "every", "offset", "ttl")
_MOMENTS = ("end_date", "start_date", "timestamp")
_KINDS = {"opts": "job option", "default_job_options": "job option"}
_SHAPES: t.Mapping[str, type[t.Any]] = {
    "backoff": Backoff,
    "deduplication": Deduplication,
    "default_job_options": JobOptions,
    "opts": JobOptions,
    "remove_on_complete": KeepJobs,
    "remove_on_fail": KeepJobs,
    "telemetry": Telemetry,
}


def check_list(name: str, given: object, what: str) -> None:
    """Raise ConfigurationError unless `given` is a list or tuple. A str or a dict does not hold `what`."""
    if not isinstance(given, (list, tuple)):
        raise ConfigurationError(f"{name} takes a list of {what}, not {type(given).__name__}")


def job_options(opts: object) -> dict[str, t.Any]:
    """Return `JobOptions` as BullMQ spells them. Raises ConfigurationError."""
    return to_wire(JobOptions, opts, kind="job option")


def to_wire(shape: type[t.Any], members: object, *, kind: str, path: str = "") -> dict[str, t.Any]:
    """Return members of the TypedDict `shape` as BullMQ spells them, in ms. `data` and `children` stay unchanged.

    Raises ConfigurationError if `members` is not a dict, has a name that `shape` does not have, or a time that
    cannot be sent.
    """
    if not isinstance(members, dict):
        raise ConfigurationError(f"{path or kind} takes a dict, not {type(members).__name__}")
    given = t.cast("dict[str, object]", members)
    known = shape.__annotations__
    unknown = [str(name) for name in given if name not in known]
    prefix = f"{path}." if path else ""
    if unknown:
        places = ", ".join(prefix + name for name in sorted(unknown))
        raise ConfigurationError(f"{places}: no such {kind}; there are {', '.join(known)}")
    return {camel(name): _value(name, value, prefix + name) for name, value in given.items()}


def camel(name: str) -> str:
    """Return the snake_case `name` in camelCase."""
    head, *rest = name.split("_")
    return head + "".join(word.capitalize() for word in rest)


def milliseconds(name: str, value: Duration, *, low: int = 0) -> int:
    """Return `value` in ms, at most ten years. Raises ConfigurationError."""
    return duration_ms(name, value, low=low, high=MAX_DELAY_MS)


def _value(name: str, value: object, path: str) -> object:
    if name in _AS_THEY_ARE:
        return value
    if isinstance(value, timedelta):
        ms = milliseconds(path, value)
        return math.ceil(ms / 1000) if name == "age" else ms  # the one duration that BullMQ counts in s
    if isinstance(value, datetime):
        return timestamp_ms(path, value)
    if isinstance(value, float) and name in _DURATIONS:
        return milliseconds(path, t.cast("int", value))  # raises: ms are whole
    if type(value) is int and name in _MOMENTS:
        refuse_s(path, value)
    if name == "parent" and _is_dict(value):
        return _parent(t.cast("dict[str, object]", value), path)
    # Backoff may be a number, and some options may be flags. The server checks what else they are.
    if name in _SHAPES and (_is_dict(value) or name in _KINDS):
        return to_wire(_SHAPES[name], value, kind=_KINDS.get(name, f"member of {path}"), path=path)
    return value


def _parent(members: dict[str, object], path: str) -> dict[str, t.Any]:
    if "queue" in members:
        members = _queue_name_of(members)  # pyright: ignore[reportDeprecated]
    wire = to_wire(ParentJob, members, kind=f"member of {path}", path=path)
    return {"queue" if name == "queueName" else name: value for name, value in wire.items()}


@deprecated('parent={"queue": …} is now parent={"queue_name": …}')
def _queue_name_of(members: dict[str, object]) -> dict[str, object]:
    return {"queue_name" if name == "queue" else name: value for name, value in members.items()}


def _is_dict(value: object) -> bool:
    return isinstance(value, dict)
