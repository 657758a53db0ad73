"""Faults on demand: the next deliveries fail, or their answers are lost."""

from __future__ import annotations

import typing as t
from dataclasses import dataclass

from ....protocol.wire import Failed
from ....workers.processor import BoundProcessor

if t.TYPE_CHECKING:
    from ....receiver.attempt import Attempt
    from .job import Job

CRASH = Failed("EndpointUnavailable", "the app answered 500; the job may have run")


@dataclass(slots=True)
class Fault:
    """What happens to the next `times` deliveries of a queue, of jobs called `name` where it is given.

    With an `error` the processor raises it instead of running. Otherwise the server sees `verdict`, and the
    processor runs only where it `runs`; `status` is that of the answer, None where none came.
    """

    queue: str
    name: str | None
    times: int
    error: BaseException | None = None
    verdict: Failed | None = None
    status: int | None = None
    runs: bool = False

    def put_into(self, attempt: Attempt) -> None:
        """Have the error raised in the place of the processor, so that all that follows is as ever."""
        if self.error is not None:
            error = self.error

            def fail(job: object) -> t.NoReturn:
                raise error

            attempt.processor = BoundProcessor(fail, is_async=False, label="fail_next")

    @property
    def keeps_processor_out(self) -> bool:
        """Whether no processor is to be called at all."""
        return self.error is None and not self.runs


class Faults:
    """The faults that were asked for and have not come yet."""

    def __init__(self) -> None:
        self._waiting: list[Fault] = []

    def add(self, fault: Fault) -> None:
        """Let it happen to the next deliveries that it is for."""
        self._waiting.append(fault)

    def next_for(self, job: Job) -> Fault | None:
        """The fault of a delivery of `job` that starts now."""
        for fault in self._waiting:
            if fault.queue == job.key.queue and fault.name in (None, job.name):
                fault.times -= 1
                if not fault.times:
                    self._waiting.remove(fault)
                return fault
        return None
