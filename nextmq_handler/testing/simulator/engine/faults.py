"""Faults on demand: the next deliveries fail, or their answers are lost."""

from __future__ import annotations

import typing as t
from dataclasses import dataclass

from ....protocol.outcomes import Failed
from ....workers.processor import BoundProcessor

if t.TYPE_CHECKING:
    from ....receiver.attempt import Attempt
    from .job import SimulatedJob

CRASH = Failed("EndpointUnavailable", "the app answered 500; the job may have run")


@dataclass(slots=True)
class Fault:
    """What happens to the next `times` deliveries of a queue (with `name`: of jobs with this name).

    With an `error` the processor raises it instead of running. Otherwise the server sees `verdict`; `status` is
    that of the HTTP answer, None if there was none. The app gets the delivery only if `runs` is true.
    """

    queue: str
    name: str | None
    times: int
    error: BaseException | None = None
    verdict: Failed | None = None
    status: int | None = None
    runs: bool = False

    def put_into(self, attempt: Attempt) -> None:
        """Raise the error in the place of the processor. Everything after that runs as usual."""
        if self.error is not None:
            attempt.processor = BoundProcessor(self._fail, is_async=False, label="fail_next")

    def _fail(self, _job: object) -> t.NoReturn:
        assert self.error is not None
        raise self.error


def take_fault(faults: list[Fault], job: SimulatedJob) -> Fault | None:
    """Return the fault for a delivery of `job`, if any, and count it as happened."""
    for fault in faults:
        if fault.queue == job.queue_name and fault.name in (None, job.name):
            fault.times -= 1
            if not fault.times:
                faults.remove(fault)
            return fault
    return None
