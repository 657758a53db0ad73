"""Every exception of the library.

NextMQError (Exception)
├── ConfigurationError (also ValueError)   a setting, secret, name or worker that cannot work
├── UnrecoverableJobError                  raise it: the job fails now, remaining attempts unused
├── DataError                              a job's data or result does not fit what the annotation says
├── ResultError                            a processor's result cannot be sent
├── WorkerRegistrationError                the server holds another registration for the queue
├── StaleDeliveryError                     this delivery no longer owns its job
├── JobFailedError                         the job that was waited for has failed
├── JobRemovedError                        the job is not there, or no longer
├── NextMQHTTPError                        the server answered with an error status, or something else answered
│   ├── AuthenticationError                … 401 or 403
│   ├── NotFoundError                      … 404: the server has no such thing
│   └── QueueFullError                     … 503: the server's storage takes no more jobs
└── NextMQConnectionError                  the server could not be reached
    └── NextMQTimeoutError (also TimeoutError)

ControlFlow (BaseException)                passes a processor's own `except Exception`
├── RateLimitError                         raise it: rate-limit the queue, try the job again later
├── DelayedError                           what `job.move_to_delayed()` raises
└── WaitingChildrenError                   what `job.move_to_waiting_children()` raises
"""

from __future__ import annotations

import typing as t

if t.TYPE_CHECKING:
    from datetime import datetime, timedelta

MAX_RATE_LIMIT_MS = 86_400_000
"""The longest rate limit of an outcome: one day (protocol section 3)."""

_MAX_TIMEOUT = 10 * 365 * 86_400

MAX_TIMESTAMP_MS = 2_100_000_000_000
"""Timestamps of an outcome stay below this (protocol section 3): later ones do not fit BullMQ's score."""


def _restored(kind: type[BaseException], args: tuple[t.Any, ...], members: dict[str, t.Any]) -> BaseException:
    # Unpickling by Python's own way calls `__init__` with `args`, and breaks a process pool where it takes others.
    exc = kind.__new__(kind)
    exc.args = args
    exc.__dict__.update(members)
    return exc


class NextMQError(Exception):
    """The base of the library's ordinary exceptions."""

    def __reduce__(self) -> tuple[t.Any, ...]:
        return _restored, (type(self), self.args, self.__dict__)


class ConfigurationError(NextMQError, ValueError):
    """A setting, secret, name or worker that cannot work; the message names it and the fix."""


class UnrecoverableJobError(NextMQError):
    """Raise it in a processor: the job fails at once, whatever attempts remain (protocol section 3)."""


class DataError(NextMQError):
    """Data or a result is not what the annotation of it says. The message holds paths, no values."""


class ResultError(NextMQError):
    """The processor returned what its annotation, or JSON, cannot carry: the work was done all the same."""


class WorkerRegistrationError(NextMQError):
    """The server holds a registration for this queue that differs (protocol section 4).

    `queue` names it, `fields` lists what differs: of "url", "options", "secretIds".
    """

    def __init__(self, message: str, *, queue: str, fields: t.Sequence[str] = ()) -> None:
        super().__init__(message)
        self.queue = queue
        self.fields: tuple[str, ...] = tuple(fields)


class StaleDeliveryError(NextMQError):
    """This delivery no longer owns its job: it timed out or its lock was lost (protocol section 5).

    Another delivery may be running already. Stop, and leave the outcome to it.
    """


class JobFailedError(NextMQError):
    """The job that was waited for has failed, `reason` says why; `stacktrace` has one entry for each attempt."""

    def __init__(self, job_id: str, queue_name: str, reason: str, stacktrace: t.Sequence[str] = ()) -> None:
        super().__init__(job_id, queue_name, reason, stacktrace)
        self.job_id = job_id
        self.queue_name = queue_name
        self.reason = reason
        self.stacktrace: list[str] = list(stacktrace)

    def __str__(self) -> str:
        return f"job {self.job_id} of queue {self.queue_name} failed: {self.reason}"


class JobRemovedError(NextMQError):
    """The server has no such job: it was removed, or was never there."""

    def __init__(self, job_id: str, queue_name: str) -> None:
        super().__init__(job_id, queue_name)
        self.job_id = job_id
        self.queue_name = queue_name

    def __str__(self) -> str:
        return f"job {self.job_id} of queue {self.queue_name} is not there: it was removed, or never added"


class NextMQHTTPError(NextMQError):
    """The server answered with an error status: `status`, the server's stable `code`, and its `details`.

    `request_id` finds the call in the server's log. `idempotency_key` is the one that the call carried, where it
    did: the same call with it cannot add a job twice.
    """

    def __init__(
        self,
        message: str,
        *,
        status: int,
        code: str,
        details: t.Mapping[str, t.Any] | None = None,
        request_id: str | None = None,
        idempotency_key: str | None = None,
    ) -> None:
        super().__init__(message)
        self.status = status
        self.code = code
        self.details: t.Mapping[str, t.Any] = details or {}
        self.request_id = request_id
        self.idempotency_key = idempotency_key


class AuthenticationError(NextMQHTTPError):
    """The server does not accept the API key of the connection string."""


class NotFoundError(NextMQHTTPError):
    """The server has no such thing as the call names."""


class QueueFullError(NextMQHTTPError):
    """The server's storage is full: it takes no more jobs until some are gone. Nothing was added."""


class NextMQConnectionError(NextMQError):
    """The server could not be reached, or the connection broke before its answer was whole.

    `idempotency_key` is the one that the call carried, where it did: the same call with it cannot add a job twice.
    """

    def __init__(self, message: str, *, idempotency_key: str | None = None) -> None:
        super().__init__(message)
        self.idempotency_key = idempotency_key


class NextMQTimeoutError(NextMQConnectionError, TimeoutError):
    """No answer in time, or what was waited for did not happen in time."""


class ControlFlow(BaseException):
    """A processor's signal that is not a failure.

    Derives from BaseException, as asyncio's CancelledError does, so that an `except Exception` around the
    work does not turn "later" into "done".
    """

    def __reduce__(self) -> tuple[t.Any, ...]:
        return _restored, (type(self), self.args, self.__dict__)


class RateLimitError(ControlFlow):
    """Raise it in a processor: the queue rests for `delay` and the job is queued again, no attempt burnt.

    `delay` is an int of ms, 1 to 86,400,000, or a timedelta. Raises ConfigurationError for another value.
    """

    def __init__(self, delay: int | timedelta) -> None:
        self.delay: int = duration_ms("RateLimitError", delay, low=1, high=MAX_RATE_LIMIT_MS)
        super().__init__(f"rate limited for {self.delay} ms")


class DelayedError(ControlFlow):
    """What `job.move_to_delayed(timestamp)` raises: the job waits until then, no attempt burnt.

    `timestamp` is an int of ms since the epoch, or an aware datetime. Raises ConfigurationError otherwise.
    """

    def __init__(self, timestamp: int | datetime) -> None:
        self.timestamp: int = timestamp_ms("move_to_delayed", timestamp)
        super().__init__(f"delayed until {self.timestamp} ms since the epoch")


class WaitingChildrenError(ControlFlow):
    """What `job.move_to_waiting_children()` raises: the job waits for its open children."""

    def __init__(self) -> None:
        super().__init__("waiting for children")


def is_control_flow(exc: BaseException) -> bool:
    """Whether `exc` is a signal to the queue that a broad `except` must let through."""
    return isinstance(exc, ControlFlow)


def timeout_seconds(name: str, value: float | timedelta) -> float:
    """`value` in s: a number is that already. Raises ConfigurationError where it is not positive and finite."""
    seconds = value
    if not isinstance(value, (int, float)):
        try:
            seconds = value.total_seconds()
        except (AttributeError, TypeError):
            raise ConfigurationError(
                f"{name} takes a number of s or a timedelta, not {type(value).__name__}"
            ) from None
    if isinstance(seconds, bool) or not isinstance(seconds, (int, float)) or not 0 < seconds <= _MAX_TIMEOUT:
        raise ConfigurationError(f"{name} takes more than 0 and up to {_MAX_TIMEOUT} s, not {shown(seconds)}")
    return float(seconds)


def duration_ms(name: str, value: int | timedelta, *, low: int, high: int) -> int:
    """`value` in whole ms: an int is ms already, a timedelta is converted. Raises ConfigurationError."""
    ms = value
    if not isinstance(value, int):
        try:
            ms = round(value.total_seconds() * 1000)
        except (AttributeError, TypeError):
            raise ConfigurationError(
                f"{name} takes a whole number of ms or a timedelta, not {type(value).__name__}"
            ) from None
    if isinstance(ms, bool) or not isinstance(ms, int) or not low <= ms <= high:
        raise ConfigurationError(f"{name} takes {low} to {high} ms, not {shown(ms)}")
    return ms


def timestamp_ms(name: str, value: int | datetime) -> int:
    """`value` in ms since the epoch: an int is that already. Raises ConfigurationError for another value."""
    ms = value
    if not isinstance(value, int):
        try:
            if value.tzinfo is None:
                raise ConfigurationError(f"{name} takes an aware datetime: give this one a time zone")
            ms = round(value.timestamp() * 1000)
        except (AttributeError, TypeError):
            raise ConfigurationError(
                f"{name} takes ms since the epoch or an aware datetime, not {type(value).__name__}"
            ) from None
    if isinstance(ms, bool) or not isinstance(ms, int) or not 0 <= ms < MAX_TIMESTAMP_MS:
        raise ConfigurationError(f"{name} takes ms since the epoch, 0 to {MAX_TIMESTAMP_MS - 1}, not {shown(ms)}")
    return ms


def shown(value: object) -> str:
    """`value` for an error message; repr() of an int beyond 4300 digits raises."""
    return repr(value) if not isinstance(value, int) or abs(value) < 10**30 else "a far larger number"
