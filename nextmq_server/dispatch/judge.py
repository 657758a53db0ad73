"""From an answer to a finding: the two tables of protocol section 3, and nothing else."""

from __future__ import annotations

import email.utils
import typing as t
from datetime import UTC

from nextmq_handler.protocol.signing import Secret, SignatureError, verify_outcome
from nextmq_handler.protocol.wire import (
    Completed,
    Delayed,
    Failed,
    Outcome,
    RateLimited,
    WireError,
    clip,
    parse_outcome,
)

from ..engine.verdicts import Complete, Delay, Fail, LimitRate, Verdict, WaitForChildren
from .findings import Broken, Finding, Gone, NotRun, Reached, Throttled
from .http.answers import Answer, NoAnswer

EXCERPT_SIZE = 2048
THROTTLED_WITHIN = 5.0
"""A 503 that comes within this many s of sending is the platform's throttling, a later one may be the app's."""

_NOT_RUN = frozenset({401, 403, 404, 405, 415})
_MIN_RETRY_AFTER, _MAX_RETRY_AFTER = 1.0, 86_400.0


def judge(
    answer: Answer | NoAnswer,
    secrets: t.Sequence[Secret],
    delivery_id: str,
    *,
    now: float,
) -> Finding:
    """What an answer to a delivery says of it. An outcome is signed under one of `secrets`; `now` is Unix s."""
    if isinstance(answer, NoAnswer):
        if answer.kind == "not_sent":
            return NotRun(answer.detail)
        if answer.kind == "timeout":
            return Broken(Fail("DeliveryTimeout", f"{answer.detail}; the processor may still be running"))
        return Broken(Fail("EndpointUnavailable", f"{answer.detail}; the job may have run"))
    if answer.status in _NOT_RUN:
        return NotRun(f"the app answered {answer.status}{_hint(answer)}")
    if answer.status == 410:
        return Gone("the app answered 410")
    if answer.status == 429 or (answer.status == 503 and answer.elapsed <= THROTTLED_WITHIN):
        return Throttled(f"the app answered {answer.status}", _retry_after(answer, now))
    if answer.status in (400, 413):
        excerpt = clip(answer.body[:EXCERPT_SIZE].decode("utf-8", "replace"), EXCERPT_SIZE)
        refusal = f"the app answered {answer.status}: {excerpt}"
        return Reached(Fail("DeliveryRefused", refusal, unrecoverable=True))
    if answer.status == 200:
        return _outcome(answer, secrets, delivery_id, now)
    return Broken(_failure(answer))


def _outcome(answer: Answer, secrets: t.Sequence[Secret], delivery_id: str, now: float) -> Reached | Broken:
    if answer.is_truncated:
        return Broken(_invalid("its body is over the limit"))
    if answer.headers.all(b"content-encoding"):
        return Broken(_invalid("it has a content-encoding"))
    try:
        secret = verify_outcome(answer.headers, answer.body, secrets, delivery_id=delivery_id, now=now)
        return Reached(_verdict(parse_outcome(answer.body)), secret.id)
    except (SignatureError, WireError) as exc:
        return Broken(_invalid(str(exc)))


def _verdict(outcome: Outcome) -> Verdict:
    if isinstance(outcome, Completed):
        return Complete(outcome.return_value)
    if isinstance(outcome, Failed):
        return Fail(outcome.name, outcome.message, outcome.stack, outcome.unrecoverable)
    if isinstance(outcome, RateLimited):
        return LimitRate(outcome.delay)
    if isinstance(outcome, Delayed):
        return Delay(outcome.timestamp)
    return WaitForChildren()


def _failure(answer: Answer) -> Fail:
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
