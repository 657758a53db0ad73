"""The last deliveries of a job, as the server keeps them with it."""

from __future__ import annotations

import typing as t

from ....protocol.wire import Completed, Delayed, Failed, Outcome, RateLimited

if t.TYPE_CHECKING:
    from .job import SimulatedJob

MAX_DELIVERIES = 20
"""How many are kept."""

_MAX_DETAIL = 300


def note(job: SimulatedJob, delivery_id: str, at: int, outcome: Outcome, status: int | None) -> None:
    """Add a delivery to the log of the job. It began `at` (ms since the epoch) and took no virtual time."""
    noted = {
        "deliveryId": delivery_id,
        "at": at,
        "status": status,
        "ms": 0,
        "outcome": _name(outcome),
        "detail": _one_line(reason_of(outcome)) if isinstance(outcome, Failed) else None,
    }
    job.deliveries = [*job.deliveries, noted][-MAX_DELIVERIES:]


def reason_of(failure: Failed) -> str:
    """Why a job failed, in the words that are kept with it."""
    return f"{failure.name}: {failure.message}" if failure.message else failure.name


def _name(outcome: Outcome) -> str:
    if isinstance(outcome, Completed):
        return "completed"
    if isinstance(outcome, Failed):
        return "failed"
    if isinstance(outcome, RateLimited):
        return "rateLimited"
    return "delayed" if isinstance(outcome, Delayed) else "waitingChildren"


def _one_line(text: str) -> str:
    shown = "".join(char if char.isprintable() else " " for char in text)
    return shown if len(shown) <= _MAX_DETAIL else shown[: _MAX_DETAIL - 1] + "…"
