"""LocalNextMQ and AsyncLocalNextMQ: the queue that a test runs in its own process."""

from __future__ import annotations

import random
import typing as t
from datetime import datetime, timedelta

from ..._deprecated import deprecated
from ...errors import ConfigurationError, JobFailedError, NextMQError
from ...protocol.outcomes import Completed, Failed
from ...workers.worker import listed
from .assertions import Assertions, warn_of_unrun
from .engine.clock import VirtualClock, span_ms
from .engine.delivering import Steps
from .engine.faults import CRASH, Fault
from .engine.job import Key, LocalJob, SimulatedJob
from .engine.simulation import LIMIT, Simulation
from .interception import Interception

if t.TYPE_CHECKING:
    from ...workers.worker import Worker


class LocalBase(Assertions):
    """The part that LocalNextMQ and AsyncLocalNextMQ share."""

    def __init__(
        self,
        workers: t.Iterable[Worker] = (),
        *,
        clock: VirtualClock | None = None,
        rand: t.Callable[[], float] | None = None,
    ) -> None:
        if not isinstance(t.cast("object", clock), VirtualClock | None):
            raise ConfigurationError(f"clock takes a VirtualClock, such as VirtualClock(start), not {clock!r}")
        self.clock: VirtualClock = clock or VirtualClock()
        self._simulation = Simulation(listed(workers), self.clock, rand or _same_numbers())
        self._seen = set()
        self._interception = Interception(self._simulation)

    @property
    def now(self) -> datetime:
        """The virtual time, in UTC."""
        return self.clock.now

    def start(self) -> None:
        """Answer the calls of this process from now on, as `with` does.

        Raises NextMQError while another LocalNextMQ or a `live_nextmq` is active.
        """
        self._interception.start()

    def stop(self) -> None:
        """Answer no more calls. Warns with UnrunJobsWarning if the test forgot jobs that could run."""
        self._interception.stop()
        warn_of_unrun(self._forgotten())

    def fail_next(
        self, queue: str, error: BaseException | None = None, *, name: str | None = None, times: int = 1
    ) -> None:
        """Make the next `times` deliveries of `queue` fail; with `name` only those of jobs with this name.

        The processor does not run. Each delivery ends as if the processor raised `error`. Without `error` it ends
        as if the app crashed (EndpointUnavailable). Raises ConfigurationError for a queue without a worker and for
        `times` below 1.
        """
        if error is None:
            self._add_fault(Fault(queue, name, times, verdict=CRASH, status=500))
        else:
            self._add_fault(Fault(queue, name, times, error, runs=True))

    def timeout_next(self, queue: str, *, name: str | None = None, times: int = 1, runs: bool = True) -> None:
        """Lose the answers of the next `times` deliveries of `queue`: the attempts fail with DeliveryTimeout.

        The processor runs before that, unless `runs=False`. No virtual time passes. Raises as `fail_next` does.
        """
        text = f"no whole answer within {self._timeout_of(queue):g} s; the processor may still be running"
        self._add_fault(Fault(queue, name, times, verdict=Failed("DeliveryTimeout", text), runs=runs))

    def _add_fault(self, fault: Fault) -> None:
        self._timeout_of(fault.queue)
        if fault.times < 1:
            raise ConfigurationError(f"times takes 1 or more deliveries, not {fault.times}")
        self._simulation.faults.append(fault)

    def _run_all(self, limit: int) -> Steps[int]:
        return self._simulation.run_until(self.clock.ms, limit)

    def _advance(self, span: float | timedelta, limit: int) -> Steps[int]:
        return self._simulation.run_until(self.clock.ms + span_ms(span), limit)

    def _redeliver(self, job: LocalJob) -> Steps[t.Any]:
        outcome = yield from self._simulation.redeliver(self._held(job))
        if isinstance(outcome, Completed):
            return outcome.return_value
        reason, stack = type(outcome).__name__, ""
        if isinstance(outcome, Failed):
            reason, stack = f"{outcome.name}: {outcome.message}", outcome.stack
        raise JobFailedError(job.id, job.queue_name, reason, [stack] if stack else [])

    def _timeout_of(self, queue: str) -> float:
        worker = self._simulation.store.queue(queue).worker
        if worker is None:
            raise ConfigurationError(
                f"no worker of queue {queue!r} is in workers=[…]: nothing is delivered to this queue"
            )
        return t.cast("int", worker.options["timeout"]) / 1000

    def _held(self, job: LocalJob) -> SimulatedJob:
        key = Key(job.queue_name, job.id)
        for held in reversed(self._simulation.store.added):
            if held.key == key:
                return held
        raise NextMQError(f"job {job.id} of queue {job.queue_name} was not added to this LocalNextMQ")


class LocalNextMQ(LocalBase):
    """Queues with BullMQ's semantics and virtual time in this process: `with LocalNextMQ(workers=[emails]) as mq`.

    Inside the block, every call of the SDK goes to it, from any thread and from every queue object. NEXTMQ_URL is
    not needed. Jobs run only when you call `run_all`, `advance` or `run_until_idle`. They run one at a time, take
    no virtual time, and pass through a real handler with signed requests. `clock` sets the start time (default:
    now). `rand` returns the numbers from 0 to 1 that the jitter of backoffs uses (default: the same in each run).
    Calls that are not simulated raise NotSimulatedError.

    Use `AsyncLocalNextMQ` in tests with an event loop.
    """

    def __enter__(self) -> t.Self:
        self.start()
        return self

    def __exit__(self, *exc_info: object) -> None:
        self.stop()

    def run_all(self, *, limit: int = LIMIT) -> int:
        """Run all jobs that may run now; return the number of deliveries. Raises NotIdleError after `limit`."""
        return self._simulation.drive(self._run_all(limit))

    @deprecated("LocalNextMQ.drain() is now LocalNextMQ.run_all()")
    def drain(self, *, limit: int = LIMIT) -> int:
        """Run all jobs that may run now. Deprecated: use `run_all`."""
        return self.run_all(limit=limit)

    def advance(self, span: float | timedelta, *, limit: int = LIMIT) -> int:
        """Move time on by `span` (s or a timedelta), and run each job that is due by then at its time.

        Returns the number of deliveries. Raises NotIdleError after `limit`.
        """
        return self._simulation.drive(self._advance(span, limit))

    def run_until_idle(self, *, limit: int = LIMIT) -> int:
        """Run all jobs, moving time on to each one that is due later, until none is left.

        Returns the number of deliveries. Raises NotIdleError after `limit`: a job scheduler never ends.
        """
        return self._simulation.drive(self._simulation.run_until(None, limit))

    def redeliver(self, job: LocalJob) -> t.Any:
        """Deliver a job again, as at-least-once delivery may, and return what the processor returns.

        The job itself does not change. Raises JobFailedError if the processor does not return.
        """
        return self._simulation.drive(self._redeliver(job))


class AsyncLocalNextMQ(LocalBase):
    """LocalNextMQ for tests with an event loop: `async with AsyncLocalNextMQ(workers=[emails]) as mq`.

    `async def` processors run on the test's loop, `def` processors in threads.
    """

    async def __aenter__(self) -> t.Self:
        self.start()
        return self

    async def __aexit__(self, *exc_info: object) -> None:
        self.stop()

    async def run_all(self, *, limit: int = LIMIT) -> int:
        """Run all jobs that may run now, as `LocalNextMQ.run_all` does."""
        return await self._simulation.drive_awaited(self._run_all(limit))

    @deprecated("AsyncLocalNextMQ.drain() is now AsyncLocalNextMQ.run_all()")
    async def drain(self, *, limit: int = LIMIT) -> int:
        """Run all jobs that may run now. Deprecated: use `run_all`."""
        return await self.run_all(limit=limit)

    async def advance(self, span: float | timedelta, *, limit: int = LIMIT) -> int:
        """Move time on and run what is due by then, as `LocalNextMQ.advance` does."""
        return await self._simulation.drive_awaited(self._advance(span, limit))

    async def run_until_idle(self, *, limit: int = LIMIT) -> int:
        """Run all jobs until none is left, as `LocalNextMQ.run_until_idle` does."""
        return await self._simulation.drive_awaited(self._simulation.run_until(None, limit))

    async def redeliver(self, job: LocalJob) -> t.Any:
        """Deliver a job again, as `LocalNextMQ.redeliver` does."""
        return await self._simulation.drive_awaited(self._redeliver(job))


def _same_numbers() -> t.Callable[[], float]:
    return random.Random(0).random  # noqa: S311 - jitter, the same in each run
