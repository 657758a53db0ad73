"""What every part of a producer's queue needs: its name, its server, its types."""

from __future__ import annotations

import typing as t
from datetime import timedelta

from ...protocol.names import check_queue_name
from .._http.call import DEFAULT_TIMEOUT
from ..generics import Data, Result, Typed, types_of
from .queue_job import AsyncQueueJob
from .resource import AsyncResource


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
