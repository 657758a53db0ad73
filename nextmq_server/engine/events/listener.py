"""One listener of a queue's events: the past in pages, then what the hub hands over."""

from __future__ import annotations

import asyncio
import collections
import typing as t

from ..scripts.scripts import QueueScripts
from .hub import EventHub
from .streams import PAGE, START, Event, StreamId

MAX_BACKLOG = 1000
"""How many events may wait for a slow listener before it is ended."""


class TooSlow(Exception):
    """The listener fell too far behind. It may listen again from the last id it had."""


class Listener:
    """Listens to the events of a queue, oldest first: `async with`, then `async for`.

    It gives the events after `last_id`, or with "$" those from now on. The attribute `last_id` is the id of the
    last event that it gave, or the id that they begin after. Iterating ends when the hub stops.

    Raises ValueError if `last_id` is not an id. Entering raises TooManyListeners, RedisError or ConnectionLost;
    iterating raises the last two, and TooSlow if MAX_BACKLOG events have waited for the listener.
    """

    def __init__(self, hub: EventHub, scripts: QueueScripts, last_id: str = "$") -> None:
        self._from_now = last_id == "$"
        self.last_id = START if self._from_now else StreamId.parse(last_id)
        self._hub = hub
        self._key = scripts.keys["events"]
        self._read_to = START
        self._is_behind = True
        self._joined = False
        self._past: collections.deque[Event] = collections.deque()
        self._present: collections.deque[Event] = collections.deque()
        self._changed = asyncio.Event()
        self._ended = False
        self._failure: Exception | None = None

    async def __aenter__(self) -> t.Self:
        end = await self._hub.end_of(self._key)
        await self._hub.admit(self)
        # An id of the future would hide what comes before it, here and for sinks that join later.
        self._read_to = self.last_id = end if self._from_now else min(self.last_id, end)
        return self

    async def __aexit__(self, *exc_info: object) -> None:
        self._hub.leave(self._key, self)
        self._hub.dismiss(self)

    def __aiter__(self) -> t.Self:
        return self

    async def __anext__(self) -> Event:
        while True:
            event = await self._step()
            # What came while the past was read is in both.
            if event is not None and event.id > self.last_id:
                self.last_id = event.id
                if event.name:  # or else not BullMQ's
                    return event

    def take(self, event: Event) -> None:
        """Take the hub's next event."""
        if len(self._present) >= MAX_BACKLOG:
            self.end(TooSlow())
            return
        self._present.append(event)
        self._changed.set()

    def end(self, failure: Exception | None) -> None:
        """Take no more events. Without a `failure`, drop those that wait too."""
        self._hub.leave(self._key, self)
        self._ended, self._failure = True, failure
        if failure is None:
            self._is_behind = False
            self._past.clear()
            self._present.clear()
        self._changed.set()

    async def _step(self) -> Event | None:
        """Return the next event, or None after waiting or reading: then try again."""
        if self._past:
            return self._past.popleft()
        if self._is_behind:
            await self._read_page()
            return None
        if self._present:
            return self._present.popleft()
        if self._ended:
            failure, self._failure = self._failure, None
            raise failure or StopAsyncIteration
        self._changed.clear()
        await self._changed.wait()
        return None

    async def _read_page(self) -> None:
        page = await self._hub.page(self._key, self._read_to)
        if self._ended and self._failure is None:
            return  # meanwhile
        self._past.extend(page)
        if page:
            self._read_to = page[-1].id
        if len(page) == PAGE:
            return
        # The past is read; what the hub gave to others meanwhile takes one more look.
        self._is_behind = not self._joined and self._hub.join_at(self._key, self, self._read_to) > self._read_to
        self._joined = True
