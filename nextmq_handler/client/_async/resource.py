"""What the server has below one path, and the calls to it; the base of a producer's queue."""

from __future__ import annotations

import typing as t
from datetime import timedelta

from ... import _notices
from ...errors import NotFoundError
from ...protocol.arguments import check_queue_name
from ...telemetry import inject, producer_span
from .._http.answer import R, Reader, ignored
from .._http.call import DEFAULT_TIMEOUT, Options, key_of
from .._http.pools import Query
from ..generics import Data, Result, Typed, types_of
from ..remote import Remote
from .queue_job import AsyncQueueJob
from .transport import request, request_all


class AsyncResource:
    """A queue, the flows or the triggers of a server."""

    _path: tuple[str, ...]

    def __init__(self, *, url: str | None = None, timeout: float | timedelta = DEFAULT_TIMEOUT) -> None:
        self._remote = Remote(url, timeout)

    async def _ask(self, method: str, *path: str, reader: Reader[R], **options: t.Unpack[Options]) -> R:
        return await request(self._remote.caller(), method, ("v1", *self._path, *path), reader, **options)

    async def _ask_all(self, *path: str, reader: Reader[R], query: Query) -> list[R]:
        """Ask for a list, and return what `reader` makes of each of its parts."""
        return await request_all(self._remote.caller(), ("v1", *self._path, *path), reader, query=query)

    async def _do(self, method: str, *path: str, **options: t.Unpack[Options]) -> None:
        await self._ask(method, *path, reader=ignored, **options)

    async def _add(
        self, queue: str, name: str, *path: str, reader: Reader[R], key: str | None, **options: t.Unpack[Options]
    ) -> R:
        """Add jobs once, however often the call is tried, in the trace of a span that names `queue` and `name`."""
        options["idempotency_key"] = key_of(key)
        _notices.job_added()
        with producer_span(queue, name) as note_added:
            options["headers"] = inject()
            added = await self._ask("POST", *path, reader=reader, **options)
            note_added(added)
            return added

    async def _find(self, method: str, *path: str, reader: Reader[R], **options: t.Unpack[Options]) -> R | None:
        """Do as `_ask`, and return None instead of raising NotFoundError."""
        try:
            return await self._ask(method, *path, reader=reader, **options)
        except NotFoundError:
            return None


class AsyncQueueBase(AsyncResource, Typed[Data, Result]):
    """A queue's name and its server."""

    def __init__(self, name: str, *, url: str | None = None, timeout: float | timedelta = DEFAULT_TIMEOUT) -> None:
        self.name: str = check_queue_name(name)
        self._path = ("queues", name)
        super().__init__(url=url, timeout=timeout)

    def _job(self, view: dict[str, t.Any]) -> AsyncQueueJob[Data, Result]:
        # Not in __init__: Python sets what is in the brackets after it.
        return AsyncQueueJob(view, queue_name=self.name, remote=self._remote, types=types_of(self))

    def __repr__(self) -> str:
        return f"<{type(self).__name__} {self.name}>"
