"""What every part of a producer's queue needs: its name, its server, its types."""

from __future__ import annotations

import typing as t
from datetime import timedelta

from ...protocol.names import check_queue_name
from .._http.call import DEFAULT_TIMEOUT
from ..generics import Data, Result, Typed, Types, types_of
from ..remote import Remote
from .queue_job import AsyncQueueJob
from .resource import AsyncResource


class AsyncQueueBase(AsyncResource, Typed[Data, Result]):
    """A queue's name and its server."""

    def __init__(self, name: str, *, url: str | None = None, timeout: float | timedelta = DEFAULT_TIMEOUT) -> None:
        self.name: str = check_queue_name(name)
        super().__init__(Remote(url, timeout), "queues", name)
        self._types: Types | None = None

    def _job(self, view: dict[str, t.Any]) -> AsyncQueueJob[Data, Result]:
        if self._types is None:  # not in __init__: what is in the brackets is set after it
            self._types = types_of(self)
        return AsyncQueueJob(view, queue_name=self.name, remote=self._remote, types=self._types)

    def __repr__(self) -> str:
        return f"<{type(self).__name__} {self.name}>"
