# Generated from _async by scripts/generate_sync.py: change that, then run `make format`.
"""What a processor's job and a producer's job both ask of the server (protocol section 5)."""

from __future__ import annotations

import typing as t

from ...errors import JobRemovedError, NotFoundError
from ..caller import Caller

if t.TYPE_CHECKING:
    from .._http.answer import R
    from .._http.call import Options
    from ..views import Dependencies, DependenciesCount


class JobCalls:
    """The calls of a job to the server.

    Each raises JobRemovedError, NextMQHTTPError or NextMQConnectionError, ConfigurationError for what cannot be
    sent, and in a processor StaleDeliveryError once the delivery lost its job.
    """

    id: str
    queue_name: str
    opts: dict[str, t.Any]
    progress: t.Any

    def update_progress(self, progress: t.Any) -> None:
        """Store `progress`, any JSON, where producers and pages see it."""
        self._do("PUT", "progress", content={"progress": progress})
        self.progress = progress

    def update_data(self, data: t.Any) -> None:
        """Put `data`, as `Queue.add` takes it, in the place of the job's data."""
        self._do("PUT", "data", content={"data": data})
        self._set_data(data)

    def log(self, row: str) -> int:
        """Add a row to the job's log, of which `keep_logs` rows stay. Returns how many there are now."""
        from .._http.answer import member

        content = {"row": row, "keepLogs": self.opts.get("keepLogs")}
        return self._ask("POST", "logs", reader=member("count", int), content=content)

    def clear_logs(self, keep_logs: int = 0) -> None:
        """Remove the job's log but for its newest `keep_logs` rows."""
        self._do("DELETE", "logs", query={"keep": keep_logs})

    def get_children_values(self) -> dict[str, t.Any]:
        """What the children that have completed returned, by "queue:id"."""
        from .._http.answer import mapping

        return self._ask("GET", "children-values", reader=mapping("values"))

    def get_ignored_children_failures(self) -> dict[str, str]:
        """Why children failed that were added with `ignore_dependency_on_failure`, by "queue:id"."""
        from .._http.answer import mapping

        return self._ask("GET", "ignored-failures", reader=mapping("failures"))

    def remove_unprocessed_children(self) -> None:
        """Remove the children that are not done and not being processed."""
        self._do("DELETE", "children")

    def get_dependencies(self, *, limit: int = 1000) -> Dependencies:
        """The job's children, at most `limit` (1 to 1000) of each kind."""
        from ..views import dependencies

        return self._ask("GET", "dependencies", reader=dependencies, query={"limit": limit})

    def get_dependencies_count(self) -> DependenciesCount:
        """How many children the job has of each kind."""
        from ..views import dependencies_count

        return self._ask("GET", "dependencies", reader=dependencies_count, query={"limit": 1})

    def _caller(self) -> Caller:
        raise NotImplementedError

    def _set_data(self, data: t.Any) -> None:
        raise NotImplementedError

    def _do(self, method: str, *path: str, **options: t.Unpack[Options]) -> None:
        from .._http.answer import ignored

        self._ask(method, *path, reader=ignored, **options)

    def _ask(
        self,
        method: str,
        *path: str,
        reader: t.Callable[[t.Any], R],
        timeout: float | None = None,
        **options: t.Unpack[Options],
    ) -> R:
        caller = self._caller()
        from .transport import Transport

        options["delivery_id"] = caller.delivery_id
        transport = Transport(caller.connection, timeout=timeout or caller.timeout)
        segments = ("v1", "queues", self.queue_name, "jobs", self.id, *path)
        try:
            return transport.request(method, segments, reader, **options)
        except NotFoundError as exc:
            raise JobRemovedError(self.id, self.queue_name) from exc
