"""What the server answers about jobs that were searched for, failures, and bulk operations."""

from __future__ import annotations

import typing as t

from ._http.answer import Reader, listed, whole


class FoundJobs(t.NamedTuple):
    """Jobs that match, each with its queue, as the REST API shows them; `cursor` goes on, None is the end.

    `looked_at` of `total` jobs were looked at, back to the one that ended or was added at `back_to` (ms since the
    epoch).
    """

    jobs: list[dict[str, t.Any]]
    looked_at: int
    total: int
    back_to: int | None
    cursor: str | None


class BulkMatches(t.NamedTuple):
    """How many jobs a bulk operation would change, and how many were looked at for it, of how many."""

    matching: int
    looked_at: int
    total: int
    is_complete: bool


class BulkOperation(t.NamedTuple):
    """A bulk operation: how many jobs matched so far, were changed, and were left alone, for which reasons.

    `state` is running, done, cancelled or failed; `problem` says why it failed. Times are ms since the epoch.
    """

    id: str
    action: str
    queue: str
    filter: str | None
    state: str
    matching: int
    done: int
    skipped: dict[str, int]
    looked_at: int
    total: int | None
    problem: str | None
    created_at: int
    finished_at: int | None
    by: str | None


class FailureReason(t.NamedTuple):
    """Failures of one queue with one job name and one reason. Times are ms since the epoch.

    `is_new`: the first came after the app had started. `dead_letters` is how many are only dead letters.
    """

    queue: str
    name: str
    reason: str
    failures: int
    first: int
    last: int
    sample_ids: list[str]
    last_status: int | None
    dead_letters: int
    is_new: bool


def _failure(content: t.Any) -> FailureReason:
    return _reason({**content, "failures": content["count"]})


found_jobs: Reader[FoundJobs] = whole(FoundJobs)
bulk_matches: Reader[BulkMatches] = whole(BulkMatches)
bulk_operation: Reader[BulkOperation] = whole(BulkOperation)
bulk_operations: Reader[list[BulkOperation]] = listed("operations", bulk_operation)
_reason: Reader[FailureReason] = whole(FailureReason)
failure_reasons: Reader[list[FailureReason]] = listed("groups", _failure)
