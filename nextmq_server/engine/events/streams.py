"""BullMQ's event streams: ids, entries, and the sinks that take them."""

from __future__ import annotations

import typing as t

from ..scripts.scripts import fields_of

PAGE = 100
"""How many events of a stream are read at once."""

_LARGEST = 2**64 - 1


class StreamId(t.NamedTuple):
    """The position of an event in its stream."""

    ms: int
    sequence: int

    @classmethod
    def parse(cls, text: str) -> StreamId:
        """Read "123-0" or "123". Raises ValueError."""
        parts = text.split("-")
        if len(parts) > 2 or not all(part.isascii() and part.isdecimal() and len(part) <= 20 for part in parts):
            raise ValueError("not the id of an event")
        ms, sequence = int(parts[0]), int(parts[1]) if len(parts) == 2 else 0
        if max(ms, sequence) > _LARGEST:
            raise ValueError("the numbers in the id of an event must fit in 64 bits")
        return cls(ms, sequence)

    def __str__(self) -> str:
        return f"{self.ms}-{self.sequence}"


START = StreamId(0, 0)
"""The position before all events."""


class Event(t.NamedTuple):
    """One entry of a BullMQ event stream, with its fields as they are stored."""

    id: StreamId
    name: str
    fields: dict[str, str]

    @classmethod
    def of(cls, entry: tuple[str, list[str]]) -> Event:
        """Read an entry as XREAD and XRANGE answer it."""
        fields = fields_of(entry[1])
        return cls(StreamId.parse(entry[0]), fields.pop("event", ""), fields)


class Sink(t.Protocol):
    """Takes the events of a stream. Neither method may wait."""

    def take(self, event: Event) -> None:
        """Take the next event."""
        ...

    def end(self, failure: Exception | None) -> None:
        """Take no more events: the stream cannot be read, or, if `failure` is None, the hub stops."""
        ...
