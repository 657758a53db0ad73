"""One listener of a queue's events: the past in pages, then what the hub hands over."""

from __future__ import annotations

import asyncio
import collections
import typing as t

from .streams import START, Event, StreamId

if t.TYPE_CHECKING:
    from .events import EventHub

MAX_BACKLOG = 1000
"""How many events a listener may be late before it is ended."""

PAGE = 100
"""How many events of a stream are read at once."""


class TooSlow(Exception):
    """The listener was too far behind: it may listen again from the last id it had."""


class Listener:
    """The events of one queue, oldest first: those of the past in pages, then those that come.

    `last_id` is the id of the last event that was given out, or the one after which they begin.
    """

    def __init__(self, hub: EventHub, key: str, last_id: StreamId | None) -> None:
        self.last_id = last_id or START
        self._hub = hub
        self._key = key
        self._from_now = last_id is None
        self._read_to = START
        self._is_behind = True
        self._joined = False
        self._past: collections.deque[Event] = collections.deque()
        self._present: collections.deque[Event] = collections.deque()
        self._changed = asyncio.Event()
        self._ended = False
        self._failure: Exception | None = None

    async def __aenter__(self) -> t.Self:
        await self._hub.admit(self)
        try:
            end = await self._hub.end_of(self._key)
        except BaseException:
            self._hub.dismiss(self)
            raise
        # An id of the future would hide what comes before it: for this listener, and for who joins later.
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
        """The hub's next event."""
        if len(self._present) >= MAX_BACKLOG:
            self.end(TooSlow())
            return
        self._present.append(event)
        self._changed.set()

    def end(self, failure: Exception | None) -> None:
        """No more events come; without a `failure` those that wait are dropped too."""
        self._hub.leave(self._key, self)
        self._ended, self._failure = True, failure
        if failure is None:
            self._is_behind = False
            self._past.clear()
            self._present.clear()
        self._changed.set()

    async def _step(self) -> Event | None:
        """The next event, if there is one already."""
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
        # All that there was is read; what the hub gave to others meanwhile takes one more look.
        self._is_behind = not self._joined and self._hub.join_at(self._key, self, self._read_to) > self._read_to
        self._joined = True
