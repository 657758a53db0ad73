"""What a queue's worker asks of the engine."""

from __future__ import annotations

import typing as t
from dataclasses import dataclass, field

from nextmq_handler.rules.backoff import Strategies

from ..scripts.limiter import NEVER_LIMITS

LOCK_DURATION = 30_000
"""BullMQ's default, in ms: how long a lock lives without renewal."""

METRICS_POINTS = 14 * 24 * 60
"""For how many minutes a queue keeps the number of jobs that completed, and that failed: two weeks."""


@dataclass
class WorkerOptions:
    """A queue's worker options: how many jobs at once, how many starts in a time, how long a lock lives (ms).

    `backoff_strategies` are beside BullMQ's own types, `dead_letter` is the queue that gets a letter for each job
    that failed for good, `origin` is where all its jobs are delivered.
    """

    backoff_strategies: Strategies = field(default_factory=dict[str, t.Sequence[int]])
    concurrency: int = 1
    dead_letter: str | None = None
    limiter: dict[str, int] | None = None
    lock_duration: int = LOCK_DURATION
    max_stalled_count: int = 3
    origin: str | None = None
    stalled_interval: int = 30_000

    def for_scripts(self, global_rate_limit: dict[str, int] | None) -> dict[str, t.Any]:
        """The options as bullmq's packers want them.

        Without a limiter of its own the queue gets one that never limits: only then do the scripts look at the
        rate limit that a processor asked for, so every server process sees it. Of a global rate limit the scripts
        read the count themselves, and take the duration from here.
        """
        limiter = global_rate_limit or self.limiter or NEVER_LIMITS
        metrics = {"maxDataPoints": METRICS_POINTS}
        return {"lockDuration": self.lock_duration, "limiter": limiter, "metrics": metrics}
