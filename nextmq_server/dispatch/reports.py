"""Reports of deliveries, for whoever watches: the console, the log, counters."""

from __future__ import annotations

import logging
import typing as t

from ..engine.queues.job import EngineJob
from ..engine.verdicts import Verdict

logger = logging.getLogger("nextmq_server")


class Report(t.NamedTuple):
    """One delivery. `status` is None without an HTTP answer; `duration` is ms, `sent_at` ms since the epoch.

    `is_final`: the job has failed for good. `is_signed`: the answer was a signed outcome. `wait` is how long (ms)
    the job waited after it was due, asked-for delay excluded; None if it has started before. `traceparent` is the
    trace that the delivery continued.
    """

    queue: str
    job_id: str
    job_name: str
    attempt: int
    delivery_id: str
    status: int | None
    verdict: Verdict
    duration: float
    is_final: bool
    sent_at: int
    is_signed: bool
    wait: int | None = None
    traceparent: str = ""


Watch = t.Callable[[Report], None]


class Reporter:
    """Call each of `watches` with a report of each delivery. If one fails, that is logged and all else goes on."""

    def __init__(self, *watches: Watch) -> None:
        self._watches = list(watches)

    def add(self, watch: Watch) -> None:
        """Call `watch` too, from now on."""
        self._watches.append(watch)

    def tell(
        self,
        queue: str,
        job: EngineJob,
        id: str,
        status: int | None,
        verdict: Verdict,
        ms: float,
        *,
        is_final: bool,
        sent_at: int,
        is_signed: bool = False,
        traceparent: str = "",
    ) -> None:
        """Report the delivery `id` of `job`, which took `ms` and ended with `verdict`; the rest as in Report."""
        if not self._watches:
            return
        attempt = job.attempts_made + 1
        report = Report(
            queue,
            job.id,
            job.name,
            attempt,
            id,
            status,
            verdict,
            ms,
            is_final,
            sent_at,
            is_signed,
            _wait_of(job, sent_at),
            traceparent,
        )
        for watch in self._watches:
            try:
                watch(report)
            except Exception:
                logger.exception("cannot report a delivery of queue %s", queue)


def _wait_of(job: EngineJob, sent_at: int) -> int | None:
    if job.attempts_started != 1:  # BullMQ keeps no time at which a retried job was due
        return None
    delay = job.opts.get("delay", 0)
    return max(0, sent_at - job.timestamp - (int(delay) if isinstance(delay, int | float) else 0))
