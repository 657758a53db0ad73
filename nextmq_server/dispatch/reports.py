"""Reports of deliveries, for people: `nextmq dev` prints one line for each."""

from __future__ import annotations

import logging
import typing as t

from nextmq_handler.protocol.outcomes import Failed

from ..engine.queues.job import EngineJob
from ..engine.verdicts import Verdict

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

    def tell(self, queue: str, job: EngineJob, id: str, status: int | None, verdict: Verdict, ms: float) -> None:
        """Report the delivery `id` of `job`, which took `ms` and ended with `verdict`."""
        if self._watch is None:
            return
        is_final = isinstance(verdict, Failed) and job.is_last_attempt(verdict)
        try:
            self._watch(Report(queue, job.id, job.name, job.attempts_made + 1, id, status, verdict, ms, is_final))
        except Exception:
            logger.exception("cannot report a delivery of queue %s", queue)
