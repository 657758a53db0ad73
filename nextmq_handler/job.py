"""What a processor gets and raises: a Job (an AsyncJob in an `async def`), and the signals to its queue.

ControlFlow (BaseException)                passes a processor's own `except Exception`
├── RateLimitError                         raise it: rate-limit the queue, try the job again later
├── DelayedError                           what `job.move_to_delayed()` and `job.retry_in()` raise
└── WaitingChildrenError                   what `job.move_to_waiting_children()` raises
"""

from __future__ import annotations

import time
import typing as t

from .client._async.job_calls import AsyncJobCalls
from .client._sync.job_calls import JobCalls
from .errors import StaleDeliveryError, restored
from .protocol.arguments import MAX_RATE_LIMIT_MS, MAX_TIMESTAMP_MS, duration_ms, moment_ms
from .protocol.outcomes import Delayed, RateLimited, WaitingChildren

if t.TYPE_CHECKING:
    from datetime import datetime, timedelta

    from typing_extensions import TypeVar

    from .client.remote import Caller
    from .protocol.outcomes import Outcome
    from .protocol.wire import Delivery
    from .settings import Settings

    T = TypeVar("T", default=t.Any)
else:
    T = t.TypeVar("T")


# How long, in s, a call to the server may take with its retries: the processor must end before its deadline.
_MIN_TIMEOUT, _MAX_TIMEOUT = 1.0, 10.0


class ControlFlow(BaseException):
    """A processor's signal that is not a failure.

    Derives from BaseException, as asyncio's CancelledError does, so that an `except Exception` around the
    work does not turn "later" into "done".
    """

    def outcome(self) -> Outcome | None:
        """Return what the signal tells the server; None if it is a failure after all."""
        return None

    def __reduce__(self) -> tuple[t.Any, ...]:
        return restored, (type(self), self.args, self.__dict__)


class RateLimitError(ControlFlow):
    """Raise it in a processor: the queue pauses for `delay`, then the job runs again. It uses no attempt.

    `delay` is an int of ms, 1 to 86,400,000, or a timedelta. Raises ConfigurationError for another value.
    """

    def __init__(self, delay: int | timedelta) -> None:
        self.delay: int = duration_ms("RateLimitError", delay, low=1, high=MAX_RATE_LIMIT_MS)
        super().__init__(f"rate limited for {self.delay} ms")

    def outcome(self) -> Outcome:
        """Return `RateLimited`."""
        return RateLimited(self.delay)


class DelayedError(ControlFlow):
    """What `job.move_to_delayed(timestamp)` raises: the job waits until then. It uses no attempt.

    `timestamp` is an int of ms since the epoch, or an aware datetime. Raises ConfigurationError otherwise, and
    for a moment before 2001.
    """

    def __init__(self, timestamp: int | datetime) -> None:
        from . import _overrides  # on a cold start in Lambda nothing else needs it

        self.timestamp: int = moment_ms(
            "move_to_delayed", timestamp, now=_overrides.wall_clock(), instead="job.retry_in(ms or a timedelta)"
        )
        super().__init__(f"delayed until {self.timestamp} ms since the epoch")

    def outcome(self) -> Outcome:
        """Return `Delayed`."""
        return Delayed(self.timestamp)


class WaitingChildrenError(ControlFlow):
    """What `job.move_to_waiting_children()` raises: the job waits for its open children."""

    def __init__(self) -> None:
        super().__init__("waiting for children")

    def outcome(self) -> Outcome:
        """Return `WaitingChildren`."""
        return WaitingChildren()


def is_control_flow(exc: BaseException) -> bool:
    """Tell whether `exc` is a signal to the queue, which a broad `except` must let through."""
    return isinstance(exc, ControlFlow)


class JobBase(t.Generic[T]):
    """The fields of a job and the signals to its queue.

    Times are ms since the epoch and durations ms, as in BullMQ, unless noted otherwise.
    """

    is_replay: bool = False
    """Whether this is a copy that `nextmq replay` sent: what the job sends to the server is printed instead."""

    def __init__(self, delivery: Delivery, settings: Settings, *, deadline: float) -> None:
        record = delivery.job
        self.id: str = record.id
        """The idempotency key of the work: the same in every attempt."""
        self.name: str = record.name
        self.data: T = record.data
        self.opts: dict[str, t.Any] = record.opts
        self.attempts_made: int = record.attempts_made
        """Attempts that the job used before this one."""
        self.attempts_started: int = record.attempts_started
        self.stalled_counter: int = record.stalled_counter
        self.priority: int = record.priority
        self.delay: int = record.delay
        self.timestamp: int = record.timestamp
        """When the job was added."""
        self.processed_on: int = record.processed_on
        self.progress: t.Any = record.progress
        self.parent: dict[str, str] | None = record.parent
        self.queue_name: str = delivery.queue
        self.delivery_id: str = delivery.id
        """The id of this delivery: each delivery of a job has its own."""
        self._settings: Settings = settings
        self._monotonic_deadline = deadline
        self._abandoned: bool = False

    @property
    def deadline(self) -> int:
        """When this delivery must be answered, on this machine's clock."""
        return round((time.time() + self.time_left()) * 1000)

    def time_left(self) -> float:
        """Return the seconds until the deadline; negative after it."""
        return self._monotonic_deadline - time.monotonic()

    def move_to_delayed(self, timestamp: int | datetime) -> t.NoReturn:
        """Stop here and run the job again at `timestamp`; this uses no attempt (protocol section 3).

        `timestamp` is ms since the epoch or an aware datetime. Always raises DelayedError, or ConfigurationError
        for another value; `await` before the call does no harm.
        """
        raise DelayedError(timestamp)

    def retry_in(self, delay: int | timedelta) -> t.NoReturn:
        """Stop here and run the job again after `delay`; this uses no attempt (protocol section 3).

        `delay` is an int of ms or a timedelta. Always raises DelayedError, or ConfigurationError for another
        value; `await` before the call does no harm.
        """
        from . import _overrides  # as above

        now = round(_overrides.wall_clock() * 1000)
        raise DelayedError(now + duration_ms("retry_in", delay, low=0, high=MAX_TIMESTAMP_MS - 1 - now))

    def move_to_waiting_children(self) -> t.NoReturn:
        """Stop here and run the job again when its open children have finished (protocol section 3).

        Always raises WaitingChildrenError; `await` before the call does no harm.
        """
        raise WaitingChildrenError

    def _caller(self) -> Caller:
        if self._abandoned:
            raise StaleDeliveryError(
                f"job {self.id} of queue {self.queue_name}: this delivery was answered already"
            )
        timeout = max(_MIN_TIMEOUT, min(_MAX_TIMEOUT, self.time_left()))
        from .client.remote import Caller  # only a job that calls the server pays for it

        return Caller(self._settings.connection, timeout, self.delivery_id)

    def __repr__(self) -> str:
        return f"<{type(self).__name__} {self.queue_name}/{self.id} {self.name!r}>"


def abandon(job: JobBase[t.Any]) -> None:
    """Make later calls of `job` raise StaleDeliveryError: its delivery was answered without its processor."""
    job._abandoned = True  # pyright: ignore[reportPrivateUsage]


class Job(JobBase[T], JobCalls):
    """The job of a `def` processor. Its calls to the server block."""


class AsyncJob(JobBase[T], AsyncJobCalls):
    """The job of an `async def` processor. Its calls to the server are awaited."""
