"""Turn an app's answer into a finding: the two tables of protocol section 3, and nothing else."""

from __future__ import annotations

import typing as t
from dataclasses import dataclass

from nextmq_handler.protocol.outcomes import Failed, clip, parse_answer
from nextmq_handler.protocol.retry_after import parse_retry_after
from nextmq_handler.protocol.signing import Secret, SignatureError, verify_outcome
from nextmq_handler.protocol.wire import WireError

from ..engine.verdicts import Verdict
from .http.answers import AppAnswer, NoAnswer

EXCERPT_SIZE = 2048
THROTTLED_WITHIN = 5.0
"""A 503 within this many s of sending is the platform's throttling; a later one may be the app's own."""

_REFUSALS = frozenset({401, 403, 404, 405, 408, 415})
_HINTS = {
    401: ": do the app and the server have the same webhook secret and the same time?",
    404: ": is the handler mounted at the path of NEXTMQ_APP_URL, with a worker for this queue?",
    408: ": the body did not reach the handler; did a middleware of the app read it and not replay it?",
}
_MIN_RETRY_AFTER, _MAX_RETRY_AFTER = 1.0, 86_400.0  # s


@dataclass(frozen=True, slots=True)
class Reached:
    """The app decided, by an outcome or by refusing this delivery: the endpoint is healthy.

    `secret_id` is the id of the secret that signed the outcome, `fingerprint` that of the worker that answered, if
    it was not the one of the delivery.
    """

    verdict: Verdict
    secret_id: str | None = None
    fingerprint: str = ""


@dataclass(frozen=True, slots=True)
class Broken:
    """The endpoint failed and the job may have run: this uses an attempt."""

    failure: Failed


@dataclass(frozen=True, slots=True)
class NotRun:
    """The processor did not run, and the endpoint takes no deliveries now: this uses no attempt.

    "unreachable": it provably did not run; "throttled": the platform throttles; "disabled": the endpoint wants no
    more deliveries. `retry_after` is s, None if the answer does not tell. `is_refusal`: what refused the delivery
    may have judged by its content, like a firewall, so that this says something of the one job only.
    """

    detail: str
    kind: t.Literal["unreachable", "throttled", "disabled"] = "unreachable"
    retry_after: float | None = None
    is_refusal: bool = False


@dataclass(frozen=True, slots=True)
class Unsendable:
    """This server could not send: it lacks a resource of its own. That says nothing of the endpoint."""

    detail: str


Finding = Reached | Broken | NotRun | Unsendable


def judge(
    answer: AppAnswer | NoAnswer,
    secrets: t.Sequence[Secret],
    delivery_id: str,
    *,
    now: float,
) -> Finding:
    """Return what the answer to a delivery means. `now` is Unix s.

    An outcome must be signed under one of `secrets`.
    """
    if isinstance(answer, NoAnswer):
        return _judge_no_answer(answer)
    status = answer.status
    if status == 200:
        return _judge_outcome(answer, secrets, delivery_id, now)
    if status in _REFUSALS:
        return NotRun(f"the app answered {status}{_HINTS.get(status, '')}", is_refusal=True)
    if status == 410:
        return NotRun("the app answered 410", "disabled")
    if status == 429 or (status == 503 and answer.elapsed <= THROTTLED_WITHIN):
        return NotRun(f"the app answered {status}", "throttled", _retry_after(answer, now))
    if status in (400, 413):
        text = f"the app answered {status}: {excerpt_of(answer) or ''}"
        return Reached(Failed("DeliveryRefused", text, unrecoverable=True))
    return Broken(_failure(status))


def excerpt_of(answer: AppAnswer | NoAnswer) -> str | None:
    """Return the beginning of what came as the answer; None if there was no body."""
    if isinstance(answer, NoAnswer) or not answer.body:
        return None
    return clip(answer.body[:EXCERPT_SIZE].decode("utf-8", "replace"), EXCERPT_SIZE)


def _judge_no_answer(answer: NoAnswer) -> NotRun | Broken | Unsendable:
    match answer.kind:
        case "unsendable":
            return Unsendable(answer.detail)
        case "not_sent":
            return NotRun(answer.detail)
        case "timeout":
            return Broken(Failed("DeliveryTimeout", f"{answer.detail}; the processor may still be running"))
        case "broken":
            return Broken(Failed("EndpointUnavailable", f"{answer.detail}; the job may have run"))
        case _:
            t.assert_never(answer.kind)


def _judge_outcome(
    answer: AppAnswer, secrets: t.Sequence[Secret], delivery_id: str, now: float
) -> Reached | Broken:
    if answer.is_truncated:
        return Broken(_invalid("its body is over the limit"))
    if answer.headers.all(b"content-encoding"):
        return Broken(_invalid("it has a content-encoding"))
    try:
        secret = verify_outcome(answer.headers, answer.body, secrets, delivery_id=delivery_id, now=now)
        outcome, fingerprint = parse_answer(answer.body)
        return Reached(outcome, secret.id, fingerprint)
    except (SignatureError, WireError) as exc:
        return Broken(_invalid(str(exc)))


def _failure(status: int) -> Failed:
    if status == 409:
        return Failed("DeliveryUnknown", "the app has seen this delivery before; the job may have run")
    if status >= 500:
        return Failed("EndpointUnavailable", f"the app answered {status}; the job may have run")
    if 300 <= status < 400:
        return Failed("InvalidOutcome", f"the app answered {status}; redirects are never followed")
    return _invalid(f"its status is {status}")


def _invalid(what: str) -> Failed:
    return Failed("InvalidOutcome", f"the answer is not an outcome: {what}; the job may have run")


def _retry_after(answer: AppAnswer, now: float) -> float | None:
    values = answer.headers.all(b"retry-after")
    seconds = parse_retry_after(values[0].decode("latin-1"), now) if values else None
    return None if seconds is None else min(_MAX_RETRY_AFTER, max(_MIN_RETRY_AFTER, seconds))
