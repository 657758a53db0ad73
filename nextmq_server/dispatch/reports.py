"""Reports of deliveries, for people: `nextmq dev` prints one line for each."""

from __future__ import annotations

import logging
import typing as t

from ..engine.queues.job import EngineJob
from ..engine.verdicts import Fail, Verdict

logger = logging.getLogger("nextmq_server")


class Report(t.NamedTuple):
    """One delivery. `status` is None without an HTTP answer; `duration` is ms."""

    queue: str
    job_id: str
    job_name: str
    attempt: int
    delivery_id: str
    status: int | None
    verdict: Verdict
    duration: float
    is_final: bool


class Reporter:
    """Call `watch` with a report of each delivery. If it fails, that is logged and the delivery goes on."""

    def __init__(self, watch: t.Callable[[Report], None] | None = None) -> None:
        self._watch = watch

    def tell(
        self,
        queue: str,
        job: EngineJob,
        delivery_id: str,
        *,
        status: int | None,
        verdict: Verdict,
        duration: float,
    ) -> None:
        """Report a delivery of `job`, which took `duration` ms and ended with `verdict`."""
        if self._watch is None:
            return
        report = Report(
            queue=queue,
            job_id=job.id,
            job_name=job.name,
            attempt=job.attemptsMade + 1,
            delivery_id=delivery_id,
            status=status,
            verdict=verdict,
            duration=duration,
            is_final=isinstance(verdict, Fail) and job.is_last_attempt(verdict),
        )
        try:
            self._watch(report)
        except Exception:
            logger.exception("cannot report a delivery of queue %s", queue)
