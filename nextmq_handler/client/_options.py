"""BullMQ's job options in snake_case, and the camelCase they are sent as."""

from __future__ import annotations

import typing as t
from datetime import timedelta

from ..errors import ConfigurationError, duration_ms

_MAX_DELAY_MS = 10 * 365 * 86_400_000


class Backoff(t.TypedDict, total=False):
    """How long to wait between attempts; `delay` is ms or a timedelta, `jitter` a share of it, 0 to 1."""

    type: t.Required[t.Literal["fixed", "exponential"]]
    delay: t.Required[int | timedelta]
    jitter: float


class KeepJobs(t.TypedDict, total=False):
    """Which finished jobs stay: at most `count`, none older than `age` s."""

    age: int
    count: int


class JobOptions(t.TypedDict, total=False):
    """The options of `Queue.add`: BullMQ's names and meanings, ms or a timedelta for times."""

    attempts: int
    backoff: int | timedelta | Backoff
    delay: int | timedelta
    job_id: str
    keep_logs: int
    lifo: bool
    priority: int
    remove_on_complete: bool | int | KeepJobs
    remove_on_fail: bool | int | KeepJobs
    stack_trace_limit: int
    timestamp: int


def to_wire(opts: JobOptions) -> dict[str, t.Any]:
    """`opts` as BullMQ spells them. Raises ConfigurationError for a name that is not an option."""
    unknown = opts.keys() - JobOptions.__annotations__.keys()
    if unknown:
        raise ConfigurationError(
            f"{', '.join(sorted(unknown))}: no such job option; there are {', '.join(JobOptions.__annotations__)}"
        )
    return {_camel(name): _milliseconds(name, value) for name, value in opts.items()}


def _milliseconds(name: str, value: object) -> object:
    if isinstance(value, timedelta):
        return duration_ms(name, value, low=0, high=_MAX_DELAY_MS)
    if isinstance(value, dict):
        members = t.cast("dict[str, object]", value)
        return {key: _milliseconds(f"{name}.{key}", member) for key, member in members.items()}
    return value


def _camel(name: str) -> str:
    head, *rest = name.split("_")
    return head + "".join(word.capitalize() for word in rest)
