# Generated from _async by scripts/generate_sync.py: change that, then run `make format`.
"""Search the jobs of a project, look at its failures, and change many jobs at once."""

from __future__ import annotations

import typing as t

from ...rules.options import Duration, milliseconds
from ..search_views import (
    BulkMatches,
    BulkOperation,
    FailureReason,
    FoundJobs,
    bulk_matches,
    bulk_operation,
    bulk_operations,
    failure_reasons,
    found_jobs,
)
from .resource import Resource


class JobSearch(Resource):
    """The jobs of all queues of the project that NEXTMQ_URL, or `url`, names. Constructing it sends nothing.

    A filter is terms, of which a job must match all: `state:failed error:502 attempts:>2 since:2h
    data.user.id:42 "a phrase"`. Every call raises what the calls of a queue raise: NextMQHTTPError 422
    `invalid_filter` for a filter that does not parse.
    """

    _path = ()

    def find(
        self, filter: str, *, queue: str | None = None, limit: int = 50, cursor: str | None = None
    ) -> FoundJobs:
        """Return up to `limit` jobs that match; with the `cursor` of the answer before, the next ones."""
        query: dict[str, t.Any] = {"q": filter, "limit": limit}
        query |= {name: value for name, value in (("queue", queue), ("cursor", cursor)) if value is not None}
        return self._ask("GET", "search", reader=found_jobs, query=query)

    def failures(self, *, queue: str | None = None, name: str | None = None) -> list[FailureReason]:
        """Group failed jobs and dead letters by what went wrong, the last failure first."""
        query = {key: value for key, value in (("queue", queue), ("name", name)) if value is not None}
        return self._ask("GET", "failures", reader=failure_reasons, query=query)

    def count(self, action: str, queue: str, which: str | t.Sequence[str]) -> BulkMatches:
        """Count the jobs that a bulk retry, promote, remove or redrive would change. Nothing is changed."""
        content = _body(action, queue, which)
        return self._ask("POST", "bulk", reader=bulk_matches, content=content, query={"dryRun": True})

    def change(
        self,
        action: str,
        queue: str,
        which: str | t.Sequence[str],
        *,
        reset_attempts: bool = False,
        priority: int | None = None,
        delay: Duration | None = None,
        per_second: int | None = None,
    ) -> BulkOperation:
        """Start to change the jobs of a queue that match a filter, or that have these ids (up to 1000).

        `action` is retry, promote, remove, redrive, priority or delay; `delay` is ms or a timedelta from now.
        """
        options: dict[str, t.Any] = {"resetAttempts": reset_attempts, "priority": priority}
        options["delay"] = None if delay is None else milliseconds("delay", delay)
        content = {**_body(action, queue, which), "options": options, "perSecond": per_second}
        return self._ask("POST", "bulk", reader=bulk_operation, content=content)

    def operations(self) -> list[BulkOperation]:
        """Return the bulk operations that are kept, the newest first."""
        return self._ask("GET", "bulk", reader=bulk_operations)

    def operation(self, operation_id: str) -> BulkOperation | None:
        """Return a bulk operation, None if it does not exist (any more)."""
        return self._find("GET", "bulk", operation_id, reader=bulk_operation)

    def cancel(self, operation_id: str) -> BulkOperation:
        """Cancel a bulk operation: it changes no job from now on. Raises NotFoundError."""
        return self._ask("POST", "bulk", operation_id, "cancel", reader=bulk_operation, is_repeatable=True)


def _body(action: str, queue: str, which: str | t.Sequence[str]) -> dict[str, t.Any]:
    jobs: dict[str, t.Any] = {"filter": which} if isinstance(which, str) else {"ids": list(which)}
    return {"action": action, "queue": queue, **jobs}
