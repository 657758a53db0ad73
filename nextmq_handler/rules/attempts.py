"""What a failed attempt means for its job, as the queue server and the simulator apply it."""

from __future__ import annotations

import random
import typing as t

from .backoff import Strategies, UnknownBackoff, backoff_delay

MAX_FREE_STARTS = 100
"""After so many starts that used no attempt, a job fails with TooManyStarts (protocol section 3)."""

OPEN_CHILDREN = "the job cannot complete: it has open children"
CHILD_FAILED = "the job cannot {}: it has a child that failed"
"""Why a job with a failed child cannot "complete" or "wait"."""


def too_many_starts(free_starts: int) -> str:
    """Return why a job fails that was started so many times without using an attempt."""
    return f"the job was started {free_starts} times without using an attempt"


def stacktraces(earlier: t.Sequence[str], latest: str, limit: int | None) -> list[str]:
    """Return the stack traces to keep with a job. `limit` is its option stackTraceLimit."""
    kept = [*earlier, latest]
    return kept if limit is None else kept[-limit:] if limit > 0 else []


def next_attempt(
    reason: str,
    opts: t.Mapping[str, t.Any],
    attempts_made: int,
    strategies: Strategies,
    *,
    rand: t.Callable[[], float] = random.random,
) -> tuple[int | None, str]:
    """Return the ms to wait before the next attempt (None: no more attempts), and the failedReason of the job.

    `attempts_made` counts the attempts before the failed one.
    """
    if attempts_made + 1 >= int(opts.get("attempts") or 1):
        return None, reason
    try:
        return backoff_delay(opts.get("backoff"), attempts_made + 1, strategies, rand=rand), reason
    except UnknownBackoff as exc:
        return None, f"{reason} ({exc})"
