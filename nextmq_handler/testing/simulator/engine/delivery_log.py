"""The last deliveries of a job, as the server keeps them with it."""

from __future__ import annotations

import typing as t

from ....protocol.wire import Completed, Delayed, Failed, Outcome, RateLimited
from ....rules.delivery_log import delivery_entry, with_entry

if t.TYPE_CHECKING:
    from .job import Job


def note(job: Job, delivery_id: str, at: int, outcome: Outcome, status: int | None) -> None:
    """Keep with the job a delivery that began `at`, ms since the epoch, and took no virtual time."""
    detail = reason_of(outcome) if isinstance(outcome, Failed) else None
    entry = delivery_entry(delivery_id, at=at, status=status, ms=0, outcome=_name(outcome), detail=detail)
    job.deliveries = with_entry(job.deliveries, entry)


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
