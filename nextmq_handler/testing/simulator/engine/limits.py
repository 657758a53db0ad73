"""The limits of names, options, data and schedules: what the server refuses is refused here."""

from __future__ import annotations

import json
import typing as t

from ....protocol.names import is_queue_name
from ....protocol.times import MAX_TIMESTAMP_MS
from ....rules.backoff import BUILT_IN
from ....rules.states import FAILURE_POLICIES as POLICIES
from ..api.refusals import invalid

Check = t.Callable[[t.Any], bool]

MAX_DATA_SIZE = 1024 * 1024
"""The largest job data, in bytes of JSON."""

_MAX_DELAY = 10 * 365 * 86_400_000
_MAX_NUMBER = 10**12
_MAX_STARTS = 10**9
_OF_ONE_JOB = ("deduplication", "delay", "jobId", "parent", "timestamp", *POLICIES)

# The names of a queue's own keys in Redis, which a job's id must not be.
_RESERVED = frozenset(
    (
        *("", "active", "completed", "de", "delayed", "events", "failed", "id", "limiter", "marker", "meta"),
        *("paused", "pc", "prioritized", "repeat", "stalled", "stalled-check", "wait", "waiting-children"),
    )
)


def _whole(low: int, high: int) -> Check:
    return lambda value: isinstance(value, int) and not isinstance(value, bool) and low <= value <= high


def _text(longest: int) -> Check:
    return lambda value: isinstance(value, str) and 1 <= len(value) <= longest


def _flag(value: t.Any) -> bool:
    return isinstance(value, bool)


def _share(value: t.Any) -> bool:
    return isinstance(value, (int, float)) and not isinstance(value, bool) and 0 <= value <= 1


def _members(checks: t.Mapping[str, Check], *required: str) -> Check:
    def check(value: t.Any) -> bool:
        if not isinstance(value, dict) or not all(name in value for name in required):
            return False
        members = t.cast("dict[str, t.Any]", value)
        return all(name in checks and checks[name](member) for name, member in members.items())

    return check


def _any_of(*checks: Check) -> Check:
    return lambda value: any(check(value) for check in checks)


def _job_id(value: t.Any) -> bool:
    return _text(256)(value) and ":" not in value and not value.isdecimal() and value not in _RESERVED


def _strategy_name(value: t.Any) -> bool:
    return is_queue_name(value) and value not in BUILT_IN


_DELAY, _COUNT = _whole(0, _MAX_DELAY), _whole(0, _MAX_NUMBER)
_BACKOFF = {"type": ("fixed", "exponential").__contains__, "delay": _DELAY, "jitter": _share}
_STRATEGY = {"type": _strategy_name, "jitter": _share}
_KEEP = _any_of(_flag, _COUNT, _members({"age": _COUNT, "count": _COUNT}))
_DEDUPLICATION = {
    "id": _text(256),
    "ttl": _whole(1, _MAX_DELAY),
    "extend": _flag,
    "replace": _flag,
    "keepLastIfActive": _flag,
}
_OPTIONS: dict[str, Check] = {
    "attempts": _whole(1, 10_000),
    "backoff": _any_of(_DELAY, _members(_BACKOFF, "type", "delay"), _members(_STRATEGY, "type")),
    "deduplication": _members(_DEDUPLICATION, "id"),
    "delay": _DELAY,
    "jobId": _job_id,
    "keepLogs": _COUNT,
    "lifo": _flag,
    "parent": _members({"id": _text(1024), "queue": is_queue_name}, "id", "queue"),
    "priority": _whole(0, 2**21),
    "removeOnComplete": _KEEP,
    "removeOnFail": _KEEP,
    "sizeLimit": _COUNT,
    "stackTraceLimit": _COUNT,
    "timestamp": _whole(0, MAX_TIMESTAMP_MS - 1),
    **dict.fromkeys(POLICIES, _flag),
}
_REPEAT: dict[str, Check] = {
    "every": _whole(1, _MAX_DELAY),
    "pattern": _text(200),
    "tz": _text(64),
    "limit": _whole(1, _MAX_NUMBER),
    "offset": _DELAY,
    "startDate": _OPTIONS["timestamp"],
    "endDate": _OPTIONS["timestamp"],
    "immediately": _flag,
}
_LIMITS: dict[str, Check] = {
    "concurrency": _whole(1, _MAX_STARTS),
    "duration": _whole(1, _MAX_DELAY),
    "max": _whole(1, _MAX_STARTS),
}


def check_name(name: t.Any, path: str) -> None:
    """Raises Refusal for a name that no job can have."""
    if not _text(256)(name):
        raise invalid(path, "takes 1 to 256 characters")


def check_options(opts: t.Mapping[str, t.Any], path: str) -> None:
    """Raises Refusal for options that the server does not take."""
    _check(_OPTIONS, opts, path)
    chosen = [policy for policy in POLICIES if opts.get(policy)]
    if len(chosen) > 1:
        raise invalid(path, f"{' and '.join(chosen)} exclude each other")


def check_limits(**given: int) -> None:
    """Raises Refusal for a concurrency, or a rate limit's `max` or `duration`, that cannot be."""
    _check(_LIMITS, given, "body")


def check_data(data: t.Any, opts: t.Mapping[str, t.Any], path: str) -> None:
    """Raises Refusal for data that is too large."""
    limit = min(MAX_DATA_SIZE, opts.get("sizeLimit", MAX_DATA_SIZE))
    size = len(json.dumps(data, separators=(",", ":")))
    if size > limit:
        raise invalid(path, f"the data is {size} bytes, over the limit of {limit}: store it elsewhere")


def check_scheduler(id: str, repeat: t.Mapping[str, t.Any], opts: t.Mapping[str, t.Any]) -> None:
    """Raises Refusal for a job scheduler that the server does not take."""
    if not _text(256)(id) or ":" in id:
        raise invalid("id", "takes 1 to 256 characters, no colon")
    _check(_REPEAT, repeat, "repeat")
    if ("every" in repeat) == ("pattern" in repeat):
        raise invalid("repeat", "give every or pattern: one of the two")
    if "tz" in repeat and "every" in repeat:
        raise invalid("repeat", "tz: is for a pattern, every has no clock")
    if "offset" in repeat and repeat["offset"] >= repeat.get("every", 0):
        raise invalid("repeat", "offset: is for every, and less than it")
    if repeat.get("immediately") and "startDate" in repeat:
        raise invalid("repeat", "immediately and startDate exclude each other")
    if "startDate" in repeat and repeat.get("endDate", repeat["startDate"]) < repeat["startDate"]:
        raise invalid("repeat", "endDate: is before startDate")
    check_options(opts, "template.opts")
    wrong = [name for name in _OF_ONE_JOB if opts.get(name) is not None]
    if wrong:
        raise invalid("template.opts", f"{', '.join(wrong)}: not for the jobs of a scheduler")


def _check(checks: t.Mapping[str, Check], given: t.Mapping[str, t.Any], path: str) -> None:
    for name, value in given.items():
        if name in checks and value is not None and not checks[name](value):
            raise invalid(f"{path}.{name}", f"cannot be {json.dumps(value)[:100]}")
