"""Several projects in one process: each NextMQ has its own connection string."""

from __future__ import annotations

import typing as t
from datetime import timedelta

from .._deprecated import deprecated
from ._async.flows import AsyncFlowProducer
from ._async.inspection import get_queues as aget_queues
from ._async.queue import AsyncQueue
from ._async.search import AsyncJobSearch
from ._async.triggers import AsyncTriggers
from ._http.call import DEFAULT_TIMEOUT
from ._sync.flows import FlowProducer
from ._sync.inspection import get_queues
from ._sync.queue import Queue
from ._sync.search import JobSearch
from ._sync.triggers import Triggers
from .remote import Remote
from .views import QueueView


class NextMQ:
    """The project that `url`, or else NEXTMQ_URL, names: its queues, flows and triggers, sync and async.

    `async_queue()` makes an AsyncQueue, and so on; a function with the prefix `a` is awaited itself. A call and
    its retries take at most `timeout`, s or a timedelta. Raises ConfigurationError for an invalid one; the calls
    raise what the classes name.
    """

    def __init__(self, url: str | None = None, *, timeout: float | timedelta = DEFAULT_TIMEOUT) -> None:
        self._url = url
        self._timeout = timeout
        self._remote = Remote(url, timeout)

    def queue(self, name: str) -> Queue[t.Any, t.Any]:
        """Make a queue whose calls block. `Queue[Data, Result](name, url=…)` makes one with types."""
        return Queue(name, url=self._url, timeout=self._timeout)

    def async_queue(self, name: str) -> AsyncQueue[t.Any, t.Any]:
        """Make a queue whose calls are awaited. `AsyncQueue[Data, Result](name, url=…)` makes one with types."""
        return AsyncQueue(name, url=self._url, timeout=self._timeout)

    def flow_producer(self) -> FlowProducer:
        """Make a flow producer whose calls block."""
        return FlowProducer(url=self._url, timeout=self._timeout)

    def async_flow_producer(self) -> AsyncFlowProducer:
        """Make a flow producer whose calls are awaited."""
        return AsyncFlowProducer(url=self._url, timeout=self._timeout)

    @property
    def triggers(self) -> Triggers:
        """The triggers, whose calls block."""
        return Triggers(url=self._url, timeout=self._timeout)

    @property
    def async_triggers(self) -> AsyncTriggers:
        """The triggers, whose calls are awaited."""
        return AsyncTriggers(url=self._url, timeout=self._timeout)

    @property
    def search(self) -> JobSearch:
        """Searches, failures and bulk operations, whose calls block."""
        return JobSearch(url=self._url, timeout=self._timeout)

    @property
    def async_search(self) -> AsyncJobSearch:
        """Searches, failures and bulk operations, whose calls are awaited."""
        return AsyncJobSearch(url=self._url, timeout=self._timeout)

    def queues(self) -> list[QueueView]:
        """Return all queues of the project as they are now."""
        return get_queues(self._remote)

    async def aqueues(self) -> list[QueueView]:
        """Await what `queues` returns."""
        return await aget_queues(self._remote)

    @deprecated("async_queues() is now aqueues()")
    async def async_queues(self) -> list[QueueView]:
        """Call `aqueues`."""
        return await self.aqueues()

    def __repr__(self) -> str:
        return f"<{type(self).__name__}>"
