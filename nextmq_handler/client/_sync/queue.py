# Generated from _async by scripts/generate_sync.py: change that, then run `make format`.
"""The producer's queue: add jobs to it; the other parts look at them and steer the queue."""

from __future__ import annotations

import typing as t

from ...errors import ConfigurationError, NotFoundError
from ...protocol import strict_json
from ...rules.options import JobOptions, NewJob, check_list, job_options, to_wire
from ...telemetry import inject, producer_span
from .._http.call import key_of
from .._http.content import encode
from ..generics import Data, Result
from ..views import added_view
from .control import QueueControl
from .inspection import QueueInspection
from .queue_job import QueueJob
from .schedulers import QueueSchedulers

MAX_BULK = 1000
"""How many jobs one `add_bulk` takes."""

_NO_DATA: t.Any = None


class Queue(
    QueueInspection[Data, Result],
    QueueControl[Data, Result],
    QueueSchedulers[Data, Result],
):
    """A queue of the server that NEXTMQ_URL, or `url`, names. Constructing it sends nothing.

    A call and its retries take at most `timeout`, s or a timedelta. Names and meanings are BullMQ's; durations
    are ms or a timedelta, moments ms since the epoch or an aware datetime.

    `Queue[Welcome, Receipt]("emails")` has jobs whose `data` is a Welcome, and whose results are validated into a
    Receipt. The types are those in the brackets of the call, or of the bases of a subclass; an annotation beside
    a plain `Queue("emails")` is not seen at run time.

    Raises ConfigurationError for a name that no queue can have. Every call raises ConfigurationError for what
    cannot be sent, NextMQHTTPError or one of its kinds, and NextMQConnectionError or NextMQTimeoutError.
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

        It is added once however often the call is retried, or repeated within 24 h with the same
        `idempotency_key`. Raises QueueFullError, NotFoundError where the `parent` is not there, and what every
        call does.
        """
        content = {"name": name, "data": data, "opts": job_options(opts)}
        key = key_of(idempotency_key)
        with producer_span(self.name, name):
            return self._ask(
                "POST", "jobs", reader=self._job, content=content, idempotency_key=key, headers=inject()
            )

    def add_bulk(
        self, jobs: t.Sequence[NewJob[Data]], *, idempotency_key: str | None = None
    ) -> list[QueueJob[Data, Result]]:
        """Add up to 1000 jobs, all of them or none; `idempotency_key` and errors as in `add`."""
        check_list("add_bulk", jobs, "jobs")
        if len(jobs) > MAX_BULK:
            raise ConfigurationError(f"add_bulk takes up to {MAX_BULK} jobs at once, not {len(jobs)}")
        if not jobs:
            return []
        body = encode({"jobs": [_new_job(job, f"jobs.{index}") for index, job in enumerate(jobs)]})
        key = key_of(idempotency_key)

        def reader(answer: t.Any) -> list[QueueJob[Data, Result]]:
            sent = strict_json.loads(body)["jobs"]  # models are JSON there, as in what the server tells
            return [self._job(added_view(*pair)) for pair in zip(sent, answer["jobs"], strict=True)]

        with producer_span(self.name, "bulk"):
            return self._ask(
                "POST", "jobs", "bulk", reader=reader, body=body, idempotency_key=key, headers=inject()
            )

    def get_job(self, job_id: str) -> QueueJob[Data, Result] | None:
        """The job, or None where there is none."""
        try:
            return self._ask("GET", "jobs", job_id, reader=self._job)
        except NotFoundError:
            return None

    def remove(self, job_id: str, *, remove_children: bool = True) -> bool:
        """Remove a job, and its children that are not done. Returns whether it was there.

        Raises NextMQHTTPError 409 `job_locked` where it, or a child, is being processed.
        """
        try:
            self._do("DELETE", "jobs", job_id, query={"removeChildren": remove_children})
        except NotFoundError:
            return False
        return True


def _new_job(job: NewJob[t.Any], path: str) -> dict[str, t.Any]:
    return {"data": None, "opts": {}, **to_wire(NewJob, job, kind="member of a job", path=path)}
