"""The options under which the engine runs a queue."""

from __future__ import annotations

import typing as t
from dataclasses import dataclass, field

from nextmq_handler.rules.backoff import Strategies

from ..scripts.limiter import NEVER_LIMITS

LOCK_DURATION = 30_000
"""How long (ms) a lock lives without renewal: BullMQ's default."""

METRICS_POINTS = 14 * 24 * 60
"""How many minutes of metrics a queue keeps: two weeks of jobs that completed and failed."""


@dataclass
class RunnerOptions:
    """A queue's worker options. `lock_duration` and `stalled_interval` are ms.

    `backoff_strategies` come beside BullMQ's own types. `dead_letter` is the queue for the dead letters of jobs
    that fail for good. `origin` is where all jobs of the queue are delivered; None if that differs.
    `global_rate_limit` is what the queue's meta holds: its runner reads it.
    """

    backoff_strategies: Strategies = field(default_factory=dict[str, t.Sequence[int]])
    concurrency: int = 1
    dead_letter: str | None = None
    global_rate_limit: dict[str, int] | None = None
    limiter: dict[str, int] | None = None
    lock_duration: int = LOCK_DURATION
    max_stalled_count: int = 3
    origin: str | None = None
    stalled_interval: int = 30_000

    def for_scripts(self) -> dict[str, t.Any]:
        """Return the options as bullmq's packers expect them.

        A queue without a limiter gets one that never limits: only then do the scripts read a rate limit that a
        processor asked for, so every server process sees it. Of a global rate limit the scripts read the count
        themselves, and take the duration from here.
        """
        limiter = self.global_rate_limit or self.limiter or NEVER_LIMITS
        metrics = {"maxDataPoints": METRICS_POINTS}
        return {"lockDuration": self.lock_duration, "limiter": limiter, "metrics": metrics}
