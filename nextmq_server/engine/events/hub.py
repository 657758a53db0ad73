"""The event hub: BullMQ's event streams, read for all listeners of this process over one connection."""

from __future__ import annotations

import asyncio
import logging
import typing as t

from ...redis.address import Address
from ...redis.connection import Argument, ConnectionLost, RedisConnection, RedisError
from ...redis.keys import ProjectKeys
from ...redis.wakeable import BLOCK_TIME, WakeableReader
from .streams import PAGE, START, Event, Sink, StreamId

logger = logging.getLogger("nextmq_server.engine")

MAX_LISTENERS = 100
"""How many listeners there may be at once."""

_WAKE_LIFE = 60_000  # ms, after which the wake stream of a killed process is gone


class TooManyListeners(Exception):
    """The maximum number of listeners is reached."""


class _Stream:
    """A stream that is read. `last_id` is the last event that its sinks got."""

    def __init__(self, last_id: StreamId) -> None:
        self.last_id = last_id
        self.sinks: set[Sink] = set()


class EventHub:
    """Reads the streams that have listeners. It connects with the first listener.

    `commands` is the shared connection, over which history is read.
    """

    def __init__(self, address: Address, commands: RedisConnection, keys: ProjectKeys, *, name: str) -> None:
        self._commands = commands
        wake_key = keys("wake", name)
        self._reader = WakeableReader(
            address, commands, self._read, name=name, wake_key=wake_key, what="read events"
        )
        self._streams: dict[str, _Stream] = {}
        self._listeners: set[Sink] = set()
        self._wake_id = START
        self._wanted = asyncio.Event()
        self._starting = asyncio.Lock()
        self._stopped = False

    async def join(self, key: str, sink: Sink) -> None:
        """Give `sink` each event of the stream at `key` from now on. Raises RedisError or ConnectionLost."""
        await self._start()
        end = START if key in self._streams else await self.end_of(key)
        self.join_at(key, sink, end)

    def join_at(self, key: str, sink: Sink, last_id: StreamId) -> StreamId:
        """Give `sink`, which knows all events up to `last_id`, the next ones. Return the id they begin after."""
        stream = self._streams.get(key)
        if stream is None:
            stream = self._streams[key] = _Stream(last_id)
            self._wanted.set()
            self._wake()
        stream.sinks.add(sink)
        return stream.last_id

    def leave(self, key: str, sink: Sink) -> None:
        """Give `sink` no more events. Does nothing if it gets none."""
        stream = self._streams.get(key)
        if stream is None:
            return
        stream.sinks.discard(sink)
        if not stream.sinks:
            del self._streams[key]

    async def end_of(self, key: str) -> StreamId:
        """Return the id of the last event in the stream. Raises RedisError or ConnectionLost."""
        entries: list[t.Any] = await self._commands.execute("XREVRANGE", key, "+", "-", "COUNT", 1)
        return StreamId.parse(entries[0][0]) if entries else START

    async def page(self, key: str, last_id: StreamId) -> list[Event]:
        """Return up to PAGE events after `last_id`. Raises RedisError or ConnectionLost."""
        entries: list[t.Any] = await self._commands.execute("XRANGE", key, f"({last_id}", "+", "COUNT", PAGE)
        return [Event.of(entry) for entry in entries]

    async def admit(self, listener: Sink) -> None:
        """Count one more listener. Raises TooManyListeners or ConnectionLost."""
        await self._start()
        if len(self._listeners) >= MAX_LISTENERS:
            raise TooManyListeners
        self._listeners.add(listener)

    def dismiss(self, listener: Sink) -> None:
        """Count one listener less."""
        self._listeners.discard(listener)

    async def stop(self) -> None:
        """End all listeners and disconnect. New listeners get ConnectionLost."""
        self._stopped = True
        joined = (sink for stream in self._streams.values() for sink in stream.sinks)
        sinks: set[Sink] = {*joined, *self._listeners}
        self._streams.clear()
        for sink in sinks:
            sink.end(None)
        if self._reader.is_running:
            await self._reader.stop()

    async def _start(self) -> None:
        async with self._starting:
            if not (self._reader.is_running or self._stopped):
                await self._reader.start()
                if self._stopped:  # meanwhile
                    await self._reader.stop()
        if self._stopped:
            raise ConnectionLost("the server is stopping")

    def _wake(self) -> None:
        """Restart the read that blocks now, with the streams of this moment."""
        key = self._reader.wake_key
        self._reader.wake(("XADD", key, "MAXLEN", 1, "*", "wake", 1), ("PEXPIRE", key, _WAKE_LIFE))

    async def _read(self) -> None:
        await self._wanted.wait()
        if not self._streams:
            self._wanted.clear()
            return
        streams = dict(self._streams)
        self._reader.arm(streams)
        wake_key = self._reader.wake_key
        ids: list[Argument] = [str(stream.last_id) for stream in streams.values()]
        command: list[Argument] = ["XREAD", "COUNT", PAGE, "BLOCK", BLOCK_TIME * 1000, "STREAMS", wake_key]
        try:
            answer: list[t.Any] | None = await self._reader.connection.execute(
                *command, *streams, str(self._wake_id), *ids
            )
        except RedisError as exc:
            await self._on_error(exc)
            return
        for key, entries in answer or ():
            if key == wake_key:
                self._wake_id = StreamId.parse(entries[-1][0])
            else:  # a stream that was left meanwhile has no sinks; joined again, it is another one
                for event in map(Event.of, entries):
                    streams[key].last_id = event.id
                    for sink in tuple(streams[key].sinks):
                        sink.take(event)

    async def _on_error(self, error: RedisError) -> None:
        """End the listeners of keys that are not streams: one such key fails the read of all."""
        found = False
        for key, stream in list(self._streams.items()):
            try:
                await self.end_of(key)
            except RedisError as exc:
                if str(exc).startswith("WRONGTYPE") and self._streams.get(key) is stream:
                    found = True
                    del self._streams[key]
                    for sink in tuple(stream.sinks):
                        sink.end(exc)
            except ConnectionLost:
                break
        if not found:
            logger.warning("cannot read events, trying again: %s", error)
            await asyncio.sleep(1)
