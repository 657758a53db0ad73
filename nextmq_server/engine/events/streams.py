"""BullMQ's event streams: ids, entries, and what takes them."""

from __future__ import annotations

import typing as t

_LARGEST = 2**64 - 1


class StreamId(t.NamedTuple):
    """Where an event is in its stream."""

    ms: int
    sequence: int

    @classmethod
    def parse(cls, text: str) -> StreamId:
        """From "123-0" or "123". Raises ValueError."""
        parts = text.split("-")
        if len(parts) > 2 or not all(part.isascii() and part.isdecimal() and len(part) <= 20 for part in parts):
            raise ValueError("not the id of an event")
        ms, sequence = int(parts[0]), int(parts[1]) if len(parts) == 2 else 0
        if max(ms, sequence) > _LARGEST:
            raise ValueError("an id of an event holds numbers of 64 bits")
        return cls(ms, sequence)

    def __str__(self) -> str:
        return f"{self.ms}-{self.sequence}"


START = StreamId(0, 0)
"""Before all events."""


class Event(t.NamedTuple):
    """One entry of a BullMQ event stream; its fields as they are stored."""

    id: StreamId
    name: str
    fields: dict[str, str]

    @classmethod
    def of(cls, entry: tuple[str, list[str]]) -> Event:
        """From an entry as XREAD and XRANGE answer it."""
        fields = dict(zip(entry[1][::2], entry[1][1::2], strict=True))
        return cls(StreamId.parse(entry[0]), fields.pop("event", ""), fields)


class Sink(t.Protocol):
    """What takes the events of a stream. Neither call may wait."""

    def take(self, event: Event) -> None:
        """The next event."""
        ...

    def end(self, failure: Exception | None) -> None:
        """There will be no more: the stream cannot be read, or, where `failure` is None, the hub stops."""
        ...
