"""What a failed attempt means for its job, as the queue server and the simulator apply it."""

from __future__ import annotations

import random
import typing as t

from ..protocol.outcomes import Failed
from .backoff import Strategies, UnknownBackoff, backoff_delay

MAX_FREE_STARTS = 100
"""After so many starts that used no attempt, a job fails with TooManyStarts (protocol section 3)."""

OPEN_CHILDREN = "the job cannot complete: it has open children"
CHILD_FAILED = "the job cannot {}: it has a child that failed"
"""Why a job with a failed child cannot "complete" or "wait"."""


def allowed_attempts(opts: t.Mapping[str, t.Any]) -> int:
    """Return how many attempts a job with these options may use."""
    return int(opts.get("attempts") or 1)


def too_many_starts(attempts_started: int, attempts_made: int, limit: int = MAX_FREE_STARTS) -> Failed | None:
    """Return the failure of a job if `limit` of its starts before this one used no attempt; None if it may run."""
    free_starts = attempts_started - attempts_made - 1
    if free_starts < limit:
        return None
    reason = f"the job was started {free_starts} times without using an attempt"
    return Failed("TooManyStarts", reason, unrecoverable=True)


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
    if attempts_made + 1 >= allowed_attempts(opts):
        return None, reason
    try:
        return backoff_delay(opts.get("backoff"), attempts_made + 1, strategies, rand=rand), reason
    except UnknownBackoff as exc:
        return None, f"{reason} ({exc})"
