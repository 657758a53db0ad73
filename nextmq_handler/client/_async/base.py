"""What every part of the producer's queue needs: its name, its server, one call to it."""

from __future__ import annotations

import typing as t
from datetime import timedelta

from ...protocol.names import check_queue_name
from .._http.answer import R, ignored
from .._http.call import DEFAULT_TIMEOUT, Options
from ..generics import Data, Result, Typed, Types, types_of
from ..remote import Remote
from .queue_job import AsyncQueueJob
from .transport import AsyncTransport


class AsyncQueueBase(Typed[Data, Result]):
    """A queue's name and its server."""

    def __init__(self, name: str, *, url: str | None = None, timeout: float | timedelta = DEFAULT_TIMEOUT) -> None:
        self.name: str = check_queue_name(name)
        self._remote = Remote(url, timeout)
        self._types: Types | None = None

    async def _do(self, method: str, *path: str, **options: t.Unpack[Options]) -> None:
        await self._ask(method, *path, reader=ignored, **options)

    async def _ask(
        self, method: str, *path: str, reader: t.Callable[[t.Any], R], **options: t.Unpack[Options]
    ) -> R:
        transport = AsyncTransport(self._remote.connection, timeout=self._remote.timeout)
        return await transport.request(method, ("v1", "queues", self.name, *path), reader, **options)

    def _job(self, view: dict[str, t.Any]) -> AsyncQueueJob[Data, Result]:
        if self._types is None:  # not in __init__: what is in the brackets is set after it
            self._types = types_of(self)
        return AsyncQueueJob(view, queue_name=self.name, remote=self._remote, types=self._types)

    def __repr__(self) -> str:
        return f"<{type(self).__name__} {self.name}>"
