# Generated from _async by scripts/generate_sync.py: change that, then run `make format`.
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
from .queue_job import QueueJob
from .transport import request, request_all


class Resource:
    """A queue, the flows or the triggers of a server."""

    _path: tuple[str, ...]

    def __init__(self, *, url: str | None = None, timeout: float | timedelta = DEFAULT_TIMEOUT) -> None:
        self._remote = Remote(url, timeout)

    def _ask(self, method: str, *path: str, reader: Reader[R], **options: t.Unpack[Options]) -> R:
        return request(self._remote.caller(), method, ("v1", *self._path, *path), reader, **options)

    def _ask_all(self, *path: str, reader: Reader[R], query: Query) -> list[R]:
        """Ask for a list, and return what `reader` makes of each of its parts."""
        return request_all(self._remote.caller(), ("v1", *self._path, *path), reader, query=query)

    def _do(self, method: str, *path: str, **options: t.Unpack[Options]) -> None:
        self._ask(method, *path, reader=ignored, **options)

    def _add(
        self, queue: str, name: str, *path: str, reader: Reader[R], key: str | None, **options: t.Unpack[Options]
    ) -> R:
        """Add jobs once, however often the call is tried, in the trace of a span that names `queue` and `name`."""
        options["idempotency_key"] = key_of(key)
        _notices.job_added()
        with producer_span(queue, name) as note_added:
            options["headers"] = inject()
            added = self._ask("POST", *path, reader=reader, **options)
            note_added(added)
            return added

    def _find(self, method: str, *path: str, reader: Reader[R], **options: t.Unpack[Options]) -> R | None:
        """Do as `_ask`, and return None instead of raising NotFoundError."""
        try:
            return self._ask(method, *path, reader=reader, **options)
        except NotFoundError:
            return None


class QueueBase(Resource, Typed[Data, Result]):
    """A queue's name and its server."""

    def __init__(self, name: str, *, url: str | None = None, timeout: float | timedelta = DEFAULT_TIMEOUT) -> None:
        self.name: str = check_queue_name(name)
        self._path = ("queues", name)
        super().__init__(url=url, timeout=timeout)

    def _job(self, view: dict[str, t.Any]) -> QueueJob[Data, Result]:
        # Not in __init__: Python sets what is in the brackets after it.
        return QueueJob(view, queue_name=self.name, remote=self._remote, types=types_of(self))

    def __repr__(self) -> str:
        return f"<{type(self).__name__} {self.name}>"
