"""Every error of the library. What a processor raises to signal the queue is in `nextmq_handler.job`.

NextMQError (Exception)
├── ConfigurationError (also ValueError)   a setting, secret, name or worker that cannot work
├── UnrecoverableJobError                  raise it: the job fails now, remaining attempts unused
├── DataError                              a job's data or result does not match its annotation
├── ResultError                            a processor's result cannot be sent
├── WorkerRegistrationError                the server holds another registration for the queue
├── StaleDeliveryError                     this delivery no longer owns its job
├── JobFailedError                         the job that the caller waited for has failed
├── JobRemovedError                        the job does not exist (any more)
├── NextMQHTTPError                        the server answered with an error status, or something else answered
│   ├── AuthenticationError                … 401 or 403
│   ├── NotFoundError                      … 404: what the call names does not exist
│   └── QueueFullError                     … 503: the server's storage is full
└── NextMQConnectionError                  the server could not be reached
    └── NextMQTimeoutError (also TimeoutError)
"""

from __future__ import annotations

import typing as t


def restored(kind: type[BaseException], args: tuple[t.Any, ...], members: dict[str, t.Any]) -> BaseException:
    """Return the exception that was pickled."""
    # Python's own way calls `__init__` with `args`, and breaks a process pool if it takes other arguments.
    exc = kind.__new__(kind)
    exc.args = args
    exc.__dict__.update(members)
    return exc


class NextMQError(Exception):
    """The base of the library's ordinary exceptions."""

    def __reduce__(self) -> tuple[t.Any, ...]:
        return restored, (type(self), self.args, self.__dict__)


class ConfigurationError(NextMQError, ValueError):
    """A setting, secret, name or worker that cannot work; the message names it and the fix."""


class UnrecoverableJobError(NextMQError):
    """Raise it in a processor: the job fails at once, whatever attempts remain (protocol section 3)."""


UnrecoverableError = UnrecoverableJobError
"""BullMQ's name for UnrecoverableJobError."""


class DataError(NextMQError):
    """Data or a result does not match its annotation. The message holds paths, never values."""


class ResultError(NextMQError):
    """The processor returned what its annotation, or JSON, cannot carry; its work is done all the same."""


class WorkerRegistrationError(NextMQError):
    """The server holds a registration for this queue that differs (protocol section 4).

    `queue` is its name; `fields` lists what keeps this one from its place: "url" or "secretIds", and "options" on
    servers of older versions.
    """

    def __init__(self, message: str, *, queue: str, fields: t.Sequence[str] = ()) -> None:
        super().__init__(message)
        self.queue = queue
        self.fields: tuple[str, ...] = tuple(fields)


class StaleDeliveryError(NextMQError):
    """This delivery no longer owns its job: it timed out or its lock was lost (protocol section 5).

    Another delivery may be running already. Stop, and leave the outcome to that one.
    """


class JobFailedError(NextMQError):
    """The job that the caller waited for has failed.

    `reason` says why; `stacktrace` has one entry for each attempt.
    """

    def __init__(self, job_id: str, queue_name: str, reason: str, stacktrace: t.Sequence[str] = ()) -> None:
        super().__init__(f"job {job_id} of queue {queue_name} failed: {reason}")
        self.job_id = job_id
        self.queue_name = queue_name
        self.reason = reason
        self.stacktrace: list[str] = list(stacktrace)


class JobRemovedError(NextMQError):
    """The job does not exist: it was removed, or never added."""

    def __init__(self, job_id: str, queue_name: str) -> None:
        super().__init__(f"job {job_id} of queue {queue_name} does not exist: it was removed, or never added")
        self.job_id = job_id
        self.queue_name = queue_name


class NextMQHTTPError(NextMQError):
    """The server answered with an error status: `status`, the server's stable `code`, and its `details`.

    `request_id` finds the call in the server's log. `idempotency_key` is the call's, if it had one: the same call
    with the same key cannot add a job twice.
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
    """What the call names does not exist on the server."""


class QueueFullError(NextMQHTTPError):
    """The server's storage or the project is full: it takes no jobs until some are removed. Nothing was added."""


class NextMQConnectionError(NextMQError):
    """The server could not be reached, or the connection broke before the whole answer arrived.

    `idempotency_key` is the call's, if it had one: the same call with the same key cannot add a job twice.
    """

    def __init__(self, message: str, *, idempotency_key: str | None = None) -> None:
        super().__init__(message)
        self.idempotency_key = idempotency_key


class NextMQTimeoutError(NextMQConnectionError, TimeoutError):
    """No answer in time, or what the caller waited for did not happen in time."""
