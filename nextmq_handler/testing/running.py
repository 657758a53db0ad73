"""Run a worker's processor in a test, with the code that runs it in production."""

from __future__ import annotations

import time
import typing as t

from ..errors import ConfigurationError
from ..protocol.outcomes import Outcome, encode_outcome
from ..protocol.wire import parse_delivery
from ..receiver.attempt import Attempt
from ..receiver.sync_driver import run_attempt
from ..settings import Settings
from ..workers.worker import freeze
from .outcomes import JobOutcome, read_outcome

if t.TYPE_CHECKING:
    from ..workers.worker import Worker
    from .jobs import RecordedAsyncJob, RecordedJob

    AnyJob = RecordedJob[t.Any] | RecordedAsyncJob[t.Any]


def run(worker: Worker, job: AnyJob) -> JobOutcome:
    """Return the outcome of `job` in `worker`: data validated, exceptions mapped, the result sent as JSON.

    A `def` processor runs in this thread, an `async def` one on the process's kept loop, as in Flask and Lambda.
    Raises ConfigurationError for a worker that cannot work, and for a job that its processor does not accept.
    """
    attempt = _attempt(worker, job)
    return _read(attempt, run_attempt(attempt))


async def arun(worker: Worker, job: AnyJob) -> JobOutcome:
    """Do what `run` does in a running loop: await an `async def` processor, run a `def` one in a thread.

    Both end at the deadline at the latest.
    """
    import anyio

    from ..receiver.run_async import run_async

    attempt = _attempt(worker, job)
    return _read(attempt, await run_async(attempt, anyio.CapacityLimiter(1)))


def _attempt(worker: Worker, job: AnyJob) -> Attempt:
    freeze(worker)
    delivery = parse_delivery(job.to_wire(worker.name, timeout=worker.options["timeout"]), job.delivery_id)
    deadline = time.monotonic() + delivery.timeout / 1000
    attempt = Attempt(worker, delivery, Settings(None, None, ()), deadline=deadline, expose_stack=True)
    if attempt.processor is not None and not isinstance(job, type(attempt.job)):
        kind, maker = ("async def", "make_async_job") if attempt.processor.is_async else ("def", "make_job")
        raise ConfigurationError(f"{attempt.processor.label} is {kind}: make its job with {maker}(…)")
    job.begin(delivery, deadline=deadline)
    attempt.job = job
    return attempt


def _read(attempt: Attempt, outcome: Outcome) -> JobOutcome:
    return read_outcome(encode_outcome(outcome, max_size=attempt.delivery.max_outcome_size))
