"""What is refused, as the server does: the limits of options, and the shape of an error answer."""

from __future__ import annotations

import json
import typing as t

from ...errors import MAX_TIMESTAMP_MS
from .job import POLICIES

MAX_DATA_SIZE = 1024 * 1024
"""The largest job data, in bytes of JSON."""

_MAX_DELAY = 10 * 365 * 86_400_000
_MAX_NUMBER = 10**12

_LIMITS = {
    "attempts": (1, 10_000),
    "delay": (0, _MAX_DELAY),
    "keepLogs": (0, _MAX_NUMBER),
    "priority": (0, 2**21),
    "sizeLimit": (0, _MAX_NUMBER),
    "stackTraceLimit": (0, _MAX_NUMBER),
    "timestamp": (0, MAX_TIMESTAMP_MS - 1),
}

# The names of a queue's own keys in Redis, which a job's id must not be.
_RESERVED = frozenset(
    (
        *("", "active", "completed", "de", "delayed", "events", "failed", "id", "marker", "meta", "paused", "pc"),
        *("prioritized", "repeat", "stalled", "stalled-check", "limiter", "wait", "waiting-children"),
    )
)


class Refusal(Exception):
    """An answer that is an error: its status, its stable code, a message for people."""

    def __init__(self, status: int, code: str, message: str, **details: t.Any) -> None:
        super().__init__(message)
        self.status = status
        self.content: dict[str, t.Any] = {"error": code, "message": message, "details": details}


def invalid(path: str, problem: str) -> Refusal:
    """422: the member at `path` of the request cannot be."""
    problems = [{"path": path, "problem": problem}]
    return Refusal(422, "invalid_request", f"{path}: {problem}", problems=problems)


def no_such_job(queue: str, job_id: str) -> Refusal:
    """404: the queue has no such job."""
    return Refusal(404, "not_found", f"queue {queue} has no job {job_id}")


def wrong_state(queue: str, job_id: str, problem: str, *, code: str = "wrong_state") -> Refusal:
    """409: the job's state does not allow the call."""
    return Refusal(409, code, f"job {job_id} of queue {queue} {problem}")


def check_options(opts: t.Mapping[str, t.Any], path: str) -> None:
    """Raises Refusal for options that the server does not take."""
    for name, (low, high) in _LIMITS.items():
        value = opts.get(name)
        if value is None:
            continue
        if not isinstance(value, int) or isinstance(value, bool) or not low <= value <= high:
            raise invalid(f"{path}.{name}", f"takes a whole number from {low} to {high}")
    job_id = opts.get("jobId")
    if job_id is not None and (not job_id or ":" in job_id or job_id.isdecimal() or job_id in _RESERVED):
        problem = 'a custom job id must not contain ":", be a whole number, or name a part of the queue'
        raise invalid(f"{path}.jobId", problem)
    chosen = [policy for policy in POLICIES if opts.get(policy)]
    if len(chosen) > 1:
        raise invalid(path, f"{' and '.join(chosen)} exclude each other")
    _check_backoff(opts.get("backoff"), f"{path}.backoff")


def check_data(data: t.Any, opts: t.Mapping[str, t.Any], path: str) -> None:
    """Raises Refusal for data that is too large."""
    limit = min(MAX_DATA_SIZE, opts.get("sizeLimit", MAX_DATA_SIZE))
    size = len(json.dumps(data, separators=(",", ":")))
    if size > limit:
        raise invalid(path, f"the data is {size} bytes, over the limit of {limit}: store it elsewhere")


def _check_backoff(backoff: t.Any, path: str) -> None:
    if not isinstance(backoff, dict):
        return
    members = t.cast("dict[str, t.Any]", backoff)
    if members.get("type") not in ("fixed", "exponential"):
        raise invalid(f"{path}.type", "Input should be 'fixed' or 'exponential'")
    if not 0 <= members.get("jitter", 0) <= 1:
        raise invalid(f"{path}.jitter", "takes a share from 0 to 1")
