"""LocalNextMQ and AsyncLocalNextMQ: what a test holds."""

from __future__ import annotations

import random
import typing as t
from datetime import datetime, timedelta

from ...errors import ConfigurationError, JobFailedError, NextMQError
from ...protocol.wire import Completed, Failed, Outcome
from ...workers.loading import listed
from .api.routes import ROUTER
from .assertions import Assertions
from .engine.clock import VirtualClock, span_ms
from .engine.delivering import run_awaited, run_here
from .engine.engine import NeverFinishedError
from .engine.faults import CRASH, Fault
from .engine.forgotten import tell_of
from .engine.job import Job, Key, LocalJob
from .engine.simulation import Simulation
from .interception import Interception

if t.TYPE_CHECKING:
    from ...workers.worker import Worker
    from .engine.delivering import LocalDelivery

T = t.TypeVar("T")
Steps = t.Generator["LocalDelivery", "Outcome | None", T]

LIMIT = 10_000
"""How many deliveries a call makes at most by default."""


class LocalBase(Assertions):
    """What both colours share: how it is made and looked at, and the faults."""

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
        self._interception = Interception(self, self._simulation.app.url, self.clock)

    @property
    def now(self) -> datetime:
        """The virtual time, in UTC."""
        return self.clock.now

    def start(self) -> None:
        """Take this process's calls from here on, as `with` does. Raises NextMQError while another one does."""
        self._interception.start()

    def stop(self) -> None:
        """Take no more calls. Warns (UndrainedJobsWarning) of jobs that might run and were not looked at."""
        self._interception.stop()
        tell_of(self._forgotten())

    def fail_next(
        self, queue: str, error: BaseException | None = None, *, name: str | None = None, times: int = 1
    ) -> None:
        """Let the next `times` deliveries of `queue`, of jobs called `name` where it is given, fail.

        As if the processor raised `error`, whatever that means to the worker; without it as if the app crashed
        (EndpointUnavailable). The processor does not run. Raises ConfigurationError for a queue without a worker
        and for `times` below 1.
        """
        self._timeout_of(queue)
        _check_times(times)
        verdict = CRASH if error is None else None
        self._simulation.faults.add(Fault(queue, name, times, error, verdict, status=None if error else 500))

    def timeout_next(self, queue: str, *, name: str | None = None, times: int = 1, runs: bool = True) -> None:
        """Let the answers of the next `times` deliveries of `queue` be lost: DeliveryTimeout, after the work.

        With `runs=False` the processor does not run either. No virtual time passes. Raises as `fail_next`.
        """
        _check_times(times)
        text = f"no whole answer within {self._timeout_of(queue):g} s; the processor may still be running"
        self._simulation.faults.add(Fault(queue, name, times, verdict=Failed("DeliveryTimeout", text), runs=runs))

    def answer(self, method: str, url: str, headers: t.Mapping[str, str], body: bytes | None) -> tuple[int, bytes]:
        """The answer to a call of the SDK. Raises NotSimulatedError."""
        wait = self._interception.wait_of(self._simulation, method, url)
        if wait is not None:
            job, moment = wait
            self._drive(self._simulation.engine.run_until(moment, LIMIT, awaited=job))
            self._check_that_it_may_end(job)
        with self._simulation.lock:
            return ROUTER.answer(self._simulation, method, url, headers, body)

    async def async_answer(
        self, method: str, url: str, headers: t.Mapping[str, str], body: bytes | None
    ) -> tuple[int, bytes]:
        """`answer`, awaited."""
        wait = self._interception.wait_of(self._simulation, method, url)
        if wait is not None:
            job, moment = wait
            await self._drive_awaited(self._simulation.engine.run_until(moment, LIMIT, awaited=job))
            self._check_that_it_may_end(job)
        with self._simulation.lock:
            return ROUTER.answer(self._simulation, method, url, headers, body)

    def _drive(self, steps: Steps[T]) -> T:
        outcome: Outcome | None = None
        try:
            with self._simulation.lock:
                delivery = next(steps)
            while True:
                outcome = run_here(delivery)
                with self._simulation.lock:
                    delivery = steps.send(outcome)
        except StopIteration as end:
            return t.cast(T, end.value)

    async def _drive_awaited(self, steps: Steps[T]) -> T:
        import anyio

        _check_loop()
        limiter = anyio.CapacityLimiter(1)
        outcome: Outcome | None = None
        try:
            with self._simulation.lock:
                delivery = next(steps)
            while True:
                outcome = await run_awaited(delivery, limiter)
                with self._simulation.lock:
                    delivery = steps.send(outcome)
        except StopIteration as end:
            return t.cast(T, end.value)

    def _timeout_of(self, queue: str) -> float:
        worker = self._simulation.store.queue(queue).worker
        if worker is None:
            raise ConfigurationError(
                f"no worker of queue {queue!r} is among workers=[…]: nothing is delivered there"
            )
        return t.cast("int", worker.options["timeout"]) / 1000

    def _check_that_it_may_end(self, job: Job) -> None:
        is_open = job.finished_on is None and not job.is_removed
        if is_open and self._simulation.engine.next_due() is None:
            raise NeverFinishedError(
                f"job {job.id} of queue {job.key.queue} is {job.state}, and nothing is due that would end it: is "
                "its worker among workers=[…], is the queue paused, is it the one whose processor waits?"
            )

    def _moment(self, span: float | timedelta) -> int:
        return self.clock.ms + span_ms(span)

    def _held(self, job: LocalJob) -> Job:
        key = Key(job.queue_name, job.id)
        for held in reversed(self._simulation.store.added):
            if held.key == key:
                return held
        raise NextMQError(f"this LocalNextMQ never had job {job.id} of queue {job.queue_name}")


class LocalNextMQ(LocalBase):
    """A queue in this process, BullMQ's semantics, virtual time: `with LocalNextMQ(workers=[emails]) as mq`.

    Inside, every call of the SDK goes to it, from any thread and however its queue was made; NEXTMQ_URL is not
    needed. Jobs run when `drain`, `advance` or `run_until_idle` say so, one at a time, in no virtual time, through
    the signed path of a real handler. `clock` says when it begins (now), `rand` gives the jitter of backoffs its
    numbers from 0 to 1 (the same ones in each run). What is not simulated raises NotSimulatedError.

    `AsyncLocalNextMQ` is its twin for tests with an event loop.
    """

    def __enter__(self) -> t.Self:
        self.start()
        return self

    def __exit__(self, *exc_info: object) -> None:
        self.stop()

    def drain(self, *, limit: int = LIMIT) -> int:
        """Run all jobs that may run now; how many deliveries that took. Raises NotIdleError after `limit`."""
        return self._drive(self._simulation.engine.drain(limit))

    def advance(self, span: float | timedelta, *, limit: int = LIMIT) -> int:
        """Move time on by `span`, s or a timedelta, and run what falls due by then, each at its time.

        Returns how many deliveries that took. Raises NotIdleError after `limit`.
        """
        return self._drive(self._simulation.engine.run_until(self._moment(span), limit))

    def run_until_idle(self, *, limit: int = LIMIT) -> int:
        """Run all jobs, and move time on from one that falls due to the next, until none is left that would.

        Returns how many deliveries that took. Raises NotIdleError after `limit`: a job scheduler never ends.
        """
        return self._drive(self._simulation.engine.run_until_idle(limit))

    def redeliver(self, job: LocalJob) -> t.Any:
        """Deliver a job once more, as at-least-once delivery may, and leave it as it is; what comes back.

        Raises JobFailedError where it does not return.
        """
        return _returned(job, self._drive(self._simulation.engine.redeliver(self._held(job))))


class AsyncLocalNextMQ(LocalBase):
    """LocalNextMQ for tests with an event loop: `async with AsyncLocalNextMQ(workers=[emails]) as mq`.

    `async def` processors run on the test's loop, `def` ones in threads.
    """

    async def __aenter__(self) -> t.Self:
        self.start()
        return self

    async def __aexit__(self, *exc_info: object) -> None:
        self.stop()

    async def drain(self, *, limit: int = LIMIT) -> int:
        """As `LocalNextMQ.drain`."""
        return await self._drive_awaited(self._simulation.engine.drain(limit))

    async def advance(self, span: float | timedelta, *, limit: int = LIMIT) -> int:
        """As `LocalNextMQ.advance`."""
        return await self._drive_awaited(self._simulation.engine.run_until(self._moment(span), limit))

    async def run_until_idle(self, *, limit: int = LIMIT) -> int:
        """As `LocalNextMQ.run_until_idle`."""
        return await self._drive_awaited(self._simulation.engine.run_until_idle(limit))

    async def redeliver(self, job: LocalJob) -> t.Any:
        """As `LocalNextMQ.redeliver`."""
        return _returned(job, await self._drive_awaited(self._simulation.engine.redeliver(self._held(job))))


def _check_loop() -> None:
    import asyncio

    try:
        asyncio.get_running_loop()
    except RuntimeError:
        raise NextMQError(
            "AsyncLocalNextMQ runs on asyncio, as processors do, and this is another event loop: under anyio's "
            'plugin let the fixture anyio_backend return "asyncio"'
        ) from None


def _check_times(times: int) -> None:
    if times < 1:
        raise ConfigurationError(f"times takes 1 or more deliveries, not {times}")


def _same_numbers() -> t.Callable[[], float]:
    return random.Random(0).random  # noqa: S311 - jitter, the same in each run


def _returned(job: LocalJob, outcome: Outcome) -> t.Any:
    if isinstance(outcome, Completed):
        return outcome.return_value
    reason, stack = type(outcome).__name__, ""
    if isinstance(outcome, Failed):
        reason, stack = f"{outcome.name}: {outcome.message}", outcome.stack
    raise JobFailedError(job.id, job.queue_name, reason, [stack] if stack else [])
