# Generated from _async by scripts/generate_sync.py: change that, then run `make format`.
"""The producer's queue: add jobs to it. Its other parts inspect and control the queue."""

from __future__ import annotations

import typing as t

from ...rules.options import JobOptions, NewJob, job_options
from .._http.answer import done
from ..adding import added_views, bulk_body
from ..generics import Data, Result
from .control import QueueControl
from .inspection import QueueInspection
from .queue_job import QueueJob

_NO_DATA: t.Any = None


class Queue(QueueInspection[Data, Result], QueueControl[Data, Result]):
    """A queue of the server that NEXTMQ_URL, or `url`, names. Constructing it sends nothing.

    A call and its retries take at most `timeout`, s or a timedelta. Names and meanings are BullMQ's; durations
    are ms or a timedelta, moments ms since the epoch or an aware datetime.

    `Queue[Welcome, Receipt]("emails")` has jobs whose `data` is a Welcome, and validates their results into a
    Receipt. The types are those in the brackets of the call, or of the bases of a subclass; an annotation beside
    a plain `Queue("emails")` has no effect at run time.

    Raises ConfigurationError for an invalid name. Every call raises ConfigurationError for content that cannot be
    sent, NextMQHTTPError or a subclass, NextMQConnectionError or NextMQTimeoutError.
    """

    def add(
        self,
        name: str,
        data: Data = _NO_DATA,
        *,
        idempotency_key: str | None = None,
        **opts: t.Unpack[JobOptions],
    ) -> QueueJob[Data, Result]:
        """Add a job called `name` with `data`, any JSON, pydantic model or dataclass, and BullMQ's job options.

        The job is added once, however often the call is retried, or repeated within 24 h with the same
        `idempotency_key`. Raises QueueFullError, NotFoundError if the `parent` does not exist, and what every call
        raises.
        """
        content = {"name": name, "data": data, "opts": job_options(opts)}
        return self._add(self.name, name, "jobs", reader=self._job, content=content, key=idempotency_key)

    def add_bulk(
        self, jobs: t.Sequence[NewJob[Data]], *, idempotency_key: str | None = None
    ) -> list[QueueJob[Data, Result]]:
        """Add up to 1000 jobs: all of them or none. Key and errors are as in `add`."""
        body = bulk_body(jobs)
        if not jobs:
            return []

        def reader(answer: t.Any) -> list[QueueJob[Data, Result]]:
            return [self._job(view) for view in added_views(body, answer)]

        return self._add(self.name, "bulk", "jobs", "bulk", reader=reader, body=body, key=idempotency_key)

    def get_job(self, job_id: str) -> QueueJob[Data, Result] | None:
        """Return a job, None if it does not exist."""
        return self._find("GET", "jobs", job_id, reader=self._job)

    def remove(self, job_id: str, *, remove_children: bool = True) -> bool:
        """Remove a job and its children that have not finished. Return whether it existed.

        Raises NextMQHTTPError 409 `job_locked` if it, or a child, is being processed.
        """
        query = {"removeChildren": remove_children}
        return bool(self._find("DELETE", "jobs", job_id, reader=done, query=query))
