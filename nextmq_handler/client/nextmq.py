"""Several projects in one process: each NextMQ has its own connection string."""

from __future__ import annotations

import typing as t
from datetime import timedelta

from ._async.flows import AsyncFlowProducer
from ._async.queue import AsyncQueue
from ._async.queues import get_queues as aget_queues
from ._async.triggers import AsyncTriggers
from ._http.call import DEFAULT_TIMEOUT
from ._sync.flows import FlowProducer
from ._sync.queue import Queue
from ._sync.queues import get_queues
from ._sync.triggers import Triggers
from .remote import Remote
from .views import QueueView


class NextMQ:
    """The project that `url`, or else NEXTMQ_URL, names: its queues, flows and triggers, in both colours.

    A call and its retries take at most `timeout`, s or a timedelta. Raises ConfigurationError for one that cannot
    be; the calls of what it makes raise what those classes say.
    """

    def __init__(self, url: str | None = None, *, timeout: float | timedelta = DEFAULT_TIMEOUT) -> None:
        self._url = url
        self._timeout = timeout
        self._remote = Remote(url, timeout)

    def queue(self, name: str) -> Queue[t.Any, t.Any]:
        """A queue whose calls block. `Queue[Data, Result](name, url=…)` makes one with types."""
        return Queue(name, url=self._url, timeout=self._timeout)

    def async_queue(self, name: str) -> AsyncQueue[t.Any, t.Any]:
        """A queue whose calls are awaited. `AsyncQueue[Data, Result](name, url=…)` makes one with types."""
        return AsyncQueue(name, url=self._url, timeout=self._timeout)

    def flow_producer(self) -> FlowProducer:
        """A flow producer whose calls block."""
        return FlowProducer(url=self._url, timeout=self._timeout)

    def async_flow_producer(self) -> AsyncFlowProducer:
        """A flow producer whose calls are awaited."""
        return AsyncFlowProducer(url=self._url, timeout=self._timeout)

    @property
    def triggers(self) -> Triggers:
        """The triggers, whose calls block."""
        return Triggers(self._remote)

    @property
    def async_triggers(self) -> AsyncTriggers:
        """The triggers, whose calls are awaited."""
        return AsyncTriggers(self._remote)

    def queues(self) -> list[QueueView]:
        """All queues of the project, as they are now."""
        return get_queues(self._remote)

    async def async_queues(self) -> list[QueueView]:
        """`queues`, awaited."""
        return await aget_queues(self._remote)

    def __repr__(self) -> str:
        return f"<{type(self).__name__}>"
