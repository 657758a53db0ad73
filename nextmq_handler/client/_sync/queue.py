# Generated from _async by scripts/generate_sync.py: change that, then run `make format`.
"""The producer: add jobs to a queue and look at them."""

from __future__ import annotations

import typing as t

from ...names import check_queue_name
from ...settings import Connection, load_settings
from .._options import JobOptions, to_wire
from .._snapshot import JobSnapshot
from .transport import Transport


class Queue:
    """A queue of the server that NEXTMQ_URL, or `url`, names. Constructing it sends nothing.

    Raises ConfigurationError for a name that no queue can have.
    """

    def __init__(self, name: str, *, url: str | None = None) -> None:
        self.name = check_queue_name(name)
        self._url = url
        self._connection: Connection | None = None

    def add(self, name: str, data: t.Any = None, **opts: t.Unpack[JobOptions]) -> JobSnapshot:
        """Add a job called `name` with `data`, any JSON, and BullMQ's job options in snake_case.

        Raises ConfigurationError for an option that cannot be sent, NextMQHTTPError or NextMQConnectionError.
        """
        content = {"name": name, "data": data, "opts": to_wire(opts)}
        return JobSnapshot(self.name, self._request("POST", "jobs", content=content))

    def get_job(self, job_id: str) -> JobSnapshot | None:
        """The job, or None where there is none. Raises NextMQHTTPError or NextMQConnectionError."""
        answer = self._request("GET", "jobs", job_id, missing_ok=True)
        return None if answer is None else JobSnapshot(self.name, answer)

    def get_job_counts(self) -> dict[str, int]:
        """How many jobs are in each state. Raises NextMQHTTPError or NextMQConnectionError."""
        counts: dict[str, int] = self._request("GET", "counts")
        return counts

    def _request(self, method: str, *path: str, content: t.Any = None, missing_ok: bool = False) -> t.Any:
        if self._connection is None:
            self._connection = load_settings(url=self._url).connection
        transport = Transport(self._connection)
        return transport.request(
            method, ("v1", "queues", self.name, *path), content=content, missing_ok=missing_ok
        )

    def __repr__(self) -> str:
        return f"<{type(self).__name__} {self.name}>"
