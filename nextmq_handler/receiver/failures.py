"""Say in the app's log that a job failed: with its traceback, so that error trackers and log shippers see it."""

from __future__ import annotations

import logging

from ..errors import ConfigurationError, NextMQError, ResultError
from ..protocol.outcomes import Failed
from ..protocol.user_code import is_interrupt
from ..rules.attempts import allowed_attempts
from ..rules.log_text import one_line
from .attempt import Attempt

logger: logging.Logger = logging.getLogger("nextmq_handler.jobs")

MAX_REASON = 500
"""How much of a failure's reason the log line has, in characters; the traceback has all of it."""

_ERRORS: dict[str, type[Exception]] = {
    "DeadlineExceeded": TimeoutError,
    "ReturnValueError": ResultError,
    "UnknownJobName": ConfigurationError,
}
"""The exceptions for failures that the processor did not raise."""


def report(attempt: Attempt, failure: Failed) -> BaseException:
    """Log the failure, at ERROR if it was the last attempt, else at WARNING. Return its exception."""
    error = _error_of(attempt, failure)
    try:
        _log(attempt, failure, error)
    except BaseException as exc:  # a handler or a filter of the app's logging may raise anything
        if is_interrupt(exc):
            raise
    return error


def _error_of(attempt: Attempt, failure: Failed) -> BaseException:
    raised, attempt.raised = attempt.raised, None  # a traceback that its own frames hold would live on
    if raised is not None and raised[0] is failure:
        return raised[1]
    return _ERRORS.get(failure.name, NextMQError)(failure.message)


def _log(attempt: Attempt, failure: Failed, error: BaseException) -> None:
    delivery = attempt.delivery
    job = delivery.job
    number, allowed = job.attempts_made + 1, allowed_attempts(job.opts)
    is_last = failure.unrecoverable or number >= allowed
    logger.log(
        logging.ERROR if is_last else logging.WARNING,
        "queue %s job %s (%s) failed on attempt %d of %d: %s",
        delivery.queue,
        one_line(job.id),
        one_line(job.name),
        number,
        allowed,
        one_line(failure.reason, MAX_REASON),
        exc_info=(type(error), error, error.__traceback__),
        extra={"queue": delivery.queue, "job": job.id, "attempt": number, "delivery": delivery.id},
    )
