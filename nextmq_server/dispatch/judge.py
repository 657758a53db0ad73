"""From an answer to a verdict: the two tables of protocol section 3, and nothing else."""

from __future__ import annotations

import email.utils
import time
import typing as t
from datetime import UTC

from nextmq_handler.signing import Secret, SignatureError, verify_outcome
from nextmq_handler.wire import (
    Completed,
    Delayed,
    Failed,
    Outcome,
    RateLimited,
    WireError,
    clip,
    parse_outcome,
)

from ..engine.verdicts import Complete, Delay, Fail, RateLimit, Verdict, WaitForChildren
from .answers import Answer, NoAnswer
from .holds import HoldBook

EXCERPT_SIZE = 2048
THROTTLED_WITHIN = 5.0
"""A 503 that comes within this many s of sending is the platform's throttling, a later one may be the app's."""

_NOT_RUN = frozenset({401, 403, 404, 405, 415})
_MIN_RETRY_AFTER, _MAX_RETRY_AFTER = 1.0, 86_400.0


class Judge:
    """Judges the answers of one queue's endpoint."""

    def __init__(self, queue: str, holds: HoldBook, *, clock: t.Callable[[], float] = time.time) -> None:
        self._queue = queue
        self._holds = holds
        self._clock = clock

    def judge(self, answer: Answer | NoAnswer, secrets: t.Sequence[Secret], delivery_id: str) -> Verdict:
        """What becomes of the job."""
        if isinstance(answer, NoAnswer):
            if answer.kind == "not_sent":
                return self._not_run(answer.detail)
            self._holds.clear(self._queue)
            if answer.kind == "timeout":
                return Fail("DeliveryTimeout", f"{answer.detail}; the processor may still be running")
            return Fail("EndpointUnavailable", f"{answer.detail}; the job may have run")
        if answer.status in _NOT_RUN:
            return self._not_run(f"the app answered {answer.status}{_hint(answer)}")
        if answer.status == 410:
            return self._holds.gone(self._queue)
        if answer.status == 429 or (answer.status == 503 and answer.elapsed <= THROTTLED_WITHIN):
            after = _retry_after(answer, self._clock())
            return self._holds.throttled(self._queue, after, f"the app answered {answer.status}")
        self._holds.clear(self._queue)
        if answer.status == 200:
            return self._outcome(answer, secrets, delivery_id)
        return _failure(answer)

    def _not_run(self, detail: str) -> Verdict:
        return self._holds.not_run(self._queue, detail)

    def _outcome(self, answer: Answer, secrets: t.Sequence[Secret], delivery_id: str) -> Verdict:
        if answer.is_truncated:
            return _invalid("its body is over the limit")
        if answer.headers.all(b"content-encoding"):
            return _invalid("it has a content-encoding")
        try:
            verify_outcome(answer.headers, answer.body, secrets, delivery_id=delivery_id, now=self._clock())
            return _verdict(parse_outcome(answer.body))
        except (SignatureError, WireError) as exc:
            return _invalid(str(exc))


def _verdict(outcome: Outcome) -> Verdict:
    if isinstance(outcome, Completed):
        return Complete(outcome.return_value)
    if isinstance(outcome, Failed):
        return Fail(outcome.name, outcome.message, outcome.stack, outcome.unrecoverable)
    if isinstance(outcome, RateLimited):
        return RateLimit(outcome.delay)
    if isinstance(outcome, Delayed):
        return Delay(outcome.timestamp)
    return WaitForChildren()


def _failure(answer: Answer) -> Fail:
    if answer.status in (400, 413):
        excerpt = clip(answer.body[:EXCERPT_SIZE].decode("utf-8", "replace"), EXCERPT_SIZE)
        return Fail("DeliveryRefused", f"the app answered {answer.status}: {excerpt}", unrecoverable=True)
    if answer.status == 409:
        return Fail("DeliveryUnknown", "the app has seen this delivery before; the job may have run")
    if answer.status >= 500:
        return Fail("EndpointUnavailable", f"the app answered {answer.status}; the job may have run")
    if 300 <= answer.status < 400:
        return Fail("InvalidOutcome", f"the app answered {answer.status}; redirects are never followed")
    return _invalid(f"its status is {answer.status}")


def _invalid(what: str) -> Fail:
    return Fail("InvalidOutcome", f"the answer is not an outcome: {what}; the job may have run")


def _hint(answer: Answer) -> str:
    hints = {
        401: ": do app and server have the same webhook secret and time?",
        404: ": is the handler mounted at the path of NEXTMQ_APP_URL, with a worker for this queue?",
    }
    return hints.get(answer.status, "")


def _retry_after(answer: Answer, now: float) -> float | None:
    """The seconds of a `retry-after`, in s or as a date, clamped to 1 s … 24 h; None where there is none."""
    values = answer.headers.all(b"retry-after")
    if not values:
        return None
    text = values[0].decode("latin-1").strip()
    if text.isascii() and text.isdigit():
        seconds = float(text[:10])
    else:
        try:
            date = email.utils.parsedate_to_datetime(text)
            seconds = date.replace(tzinfo=date.tzinfo or UTC).timestamp() - now
        except (ValueError, OverflowError):
            return None
    return min(_MAX_RETRY_AFTER, max(_MIN_RETRY_AFTER, seconds))
