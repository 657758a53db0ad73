"""What a processor's job and a producer's job both ask of the server (protocol section 5)."""

from __future__ import annotations

import contextlib
import typing as t

from ...errors import JobRemovedError, NotFoundError

if t.TYPE_CHECKING:
    from .._http.answer import R, Reader
    from .._http.call import Options
    from ..remote import Caller
    from ..views import Dependencies, DependenciesCount


class AsyncJobCalls:
    """The calls of a job to the server.

    Each raises JobRemovedError, NextMQHTTPError or NextMQConnectionError, ConfigurationError for content that
    cannot be sent, and in a processor StaleDeliveryError once the delivery has lost its job.
    """

    id: str
    queue_name: str
    data: t.Any
    opts: dict[str, t.Any]
    progress: t.Any

    async def update_progress(self, progress: t.Any) -> None:
        """Store `progress`, any JSON, for producers and pages to see."""
        await self._do("PUT", "progress", content={"progress": progress})
        self.progress = progress

    async def update_data(self, data: t.Any) -> None:
        """Replace the job's data with `data`, which is as in `Queue.add`."""
        await self._do("PUT", "data", content={"data": data})
        self.data = data

    async def log(self, row: object) -> int:
        """Add a row to the job's log, which keeps the newest `keep_logs` rows. Return how many it has now.

        Any value makes a row: what is not text becomes text, and a row over 65,536 characters is cut.
        """
        from ...rules.log_text import kept_rows, log_row
        from .._http.answer import member

        content = {"row": log_row(row), "keepLogs": kept_rows(self.opts.get("keepLogs"))}
        return await self._ask("POST", "logs", reader=member("count", int), content=content)

    async def clear_logs(self, keep_logs: int = 0) -> None:
        """Remove all but the newest `keep_logs` rows of the job's log."""
        await self._do("DELETE", "logs", query={"keep": keep_logs})

    async def get_children_values(self) -> dict[str, t.Any]:
        """Return the return values of the completed children, by "queue:id"."""
        return await self._ask_children("children-values", "values")

    async def get_ignored_children_failures(self) -> dict[str, str]:
        """Return why children failed that have `ignore_dependency_on_failure`, by "queue:id"."""
        return await self._ask_children("ignored-failures", "failures")

    async def remove_unprocessed_children(self) -> None:
        """Remove the children that have not finished and are not being processed."""
        await self._do("DELETE", "children")

    async def get_dependencies(self, *, limit: int = 1000) -> Dependencies:
        """Return the job's children, at most `limit` (1 to 1000) of each kind."""
        from ..views import dependencies

        return await self._ask("GET", "dependencies", reader=dependencies, query={"limit": limit})

    async def get_dependencies_count(self) -> DependenciesCount:
        """Count the job's children of each kind."""
        from ..views import dependencies_count

        return await self._ask("GET", "dependencies", reader=dependencies_count, query={"limit": 1})

    def _caller(self) -> Caller:
        raise NotImplementedError

    async def _ask_children(self, path: str, name: str) -> dict[str, t.Any]:
        """Return an object that the server may send in several parts."""
        parts = await self._ask_all(path, reader=lambda answer: dict(answer[name]))
        return {child: value for part in parts for child, value in part.items()}

    async def _do(self, method: str, *path: str, **options: t.Unpack[Options]) -> None:
        from .._http.answer import ignored

        await self._ask(method, *path, reader=ignored, **options)

    async def _ask(self, method: str, *path: str, reader: Reader[R], **options: t.Unpack[Options]) -> R:
        from .transport import request  # the HTTP client: only a job that calls the server pays for it

        with self._removed_if_not_found():
            return await request(self._caller(), method, self._segments(*path), reader, **options)

    async def _ask_all(self, *path: str, reader: Reader[R]) -> list[R]:
        from .transport import request_all

        with self._removed_if_not_found():
            return await request_all(self._caller(), self._segments(*path), reader)

    def _segments(self, *path: str) -> tuple[str, ...]:
        return ("v1", "queues", self.queue_name, "jobs", self.id, *path)

    @contextlib.contextmanager
    def _removed_if_not_found(self) -> t.Generator[None]:
        try:
            yield
        except NotFoundError as exc:
            raise JobRemovedError(self.id, self.queue_name) from exc
