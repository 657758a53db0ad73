"""Events of queues: BullMQ's event streams, read for all listeners of this process over one connection."""

from __future__ import annotations

import asyncio
import logging
import typing as t

from nextmq_handler.errors import ConfigurationError

from ...redis.address import Address
from ...redis.connection import Argument, Connection, ConnectionLost, RedisError
from ..scripts.scripts import QueueScripts
from .listener import PAGE, Listener
from .streams import START, Event, Sink, StreamId

logger = logging.getLogger("nextmq_server.engine")

MAX_LISTENERS = 100
"""How many listeners there may be at once."""

BLOCK_TIME = 5
"""How long, in s, one wait for events lasts at most."""

_WAKE_LIFE = 60_000  # ms, after which a wake stream is gone whose process was killed


class TooManyListeners(Exception):
    """There are as many listeners as there may be."""


class _Stream:
    """A stream that is read. `last_id` is the last event that its sinks were given."""

    def __init__(self, last_id: StreamId) -> None:
        self.last_id = last_id
        self.sinks: set[Sink] = set()


class EventHub:
    """Reads the streams that somebody listens to. It connects with the first listener.

    `commands` is the shared connection, over which history is read.
    """

    def __init__(self, address: Address, commands: Connection, *, name: str) -> None:
        self._commands = commands
        self._connection = Connection(address, name=name)
        self._streams: dict[str, _Stream] = {}
        self._listeners: set[Listener] = set()
        self._wake_key = f"nextmq:wake:{name}"
        self._wake_id = START
        self._armed: dict[str, _Stream] | None = None
        self._woken = False
        self._wanted = asyncio.Event()
        self._starting = asyncio.Lock()
        self._task: asyncio.Task[None] | None = None
        self._stopped = False

    def listen(self, scripts: QueueScripts, last_id: str = "$") -> Listener:
        """The events of a queue after `last_id`, or with "$" from now on: `async with`, then `async for`.

        Raises ValueError for what is no id. Entering raises TooManyListeners, RedisError or ConnectionLost;
        iterating these two as well, and TooSlow where MAX_BACKLOG events have waited for the listener. It ends
        when the hub stops.
        """
        return Listener(self, scripts.keys["events"], None if last_id == "$" else StreamId.parse(last_id))

    async def join(self, key: str, sink: Sink) -> None:
        """From here on `sink` takes each event of the stream at `key`. Raises RedisError or ConnectionLost."""
        await self._start()
        end = START if key in self._streams else await self.end_of(key)
        self.join_at(key, sink, end)

    def join_at(self, key: str, sink: Sink, last_id: StreamId) -> StreamId:
        """The same for a sink that knows all events up to `last_id`: the id after which it takes them."""
        stream = self._streams.get(key)
        if stream is None:
            stream = self._streams[key] = _Stream(last_id)
            self._wanted.set()
            self._wake()
        stream.sinks.add(sink)
        return stream.last_id

    def leave(self, key: str, sink: Sink) -> None:
        """`sink` takes no more events; harmless where it takes none."""
        stream = self._streams.get(key)
        if stream is None:
            return
        stream.sinks.discard(sink)
        if not stream.sinks:
            del self._streams[key]

    async def end_of(self, key: str) -> StreamId:
        """The id of the last event there is. Raises RedisError or ConnectionLost."""
        entries: list[t.Any] = await self._commands.execute("XREVRANGE", key, "+", "-", "COUNT", 1)
        return StreamId.parse(entries[0][0]) if entries else START

    async def page(self, key: str, last_id: StreamId) -> list[Event]:
        """Up to PAGE events after `last_id`. Raises RedisError or ConnectionLost."""
        entries: list[t.Any] = await self._commands.execute("XRANGE", key, f"({last_id}", "+", "COUNT", PAGE)
        return [Event.of(entry) for entry in entries]

    async def admit(self, listener: Listener) -> None:
        """One listener more. Raises TooManyListeners or ConnectionLost."""
        await self._start()
        if len(self._listeners) >= MAX_LISTENERS:
            raise TooManyListeners
        self._listeners.add(listener)

    def dismiss(self, listener: Listener) -> None:
        """One listener less."""
        self._listeners.discard(listener)

    async def stop(self) -> None:
        """End all listeners, disconnect; who listens from now on gets ConnectionLost."""
        self._stopped = True
        joined = (sink for stream in self._streams.values() for sink in stream.sinks)
        sinks: set[Sink] = {*joined, *self._listeners}
        self._streams.clear()
        for sink in sinks:
            sink.end(None)
        if self._task is not None:
            self._task.cancel()
            await asyncio.wait({self._task})
            await self._connection.close()

    async def _start(self) -> None:
        async with self._starting:
            if self._task is None and not self._stopped:
                await self._connect()
        if self._stopped:
            raise ConnectionLost("the server is stopping")

    async def _connect(self) -> None:
        try:
            await self._connection.connect()
        except ConfigurationError as exc:
            raise ConnectionLost(str(exc)) from exc
        if self._stopped:  # meanwhile
            await self._connection.close()
            return
        self._task = asyncio.create_task(self._read())

    def _wake(self) -> None:
        """Start the wait that runs now anew, with the streams of this moment."""
        if self._armed is None or self._woken:
            return
        self._woken = True
        for command in (
            ("XADD", self._wake_key, "MAXLEN", 1, "*", "wake", 1),
            ("PEXPIRE", self._wake_key, _WAKE_LIFE),
        ):
            self._commands.execute(*command).add_done_callback(_ignore_loss)

    async def _read(self) -> None:
        while True:
            await self._wanted.wait()
            try:
                await self._read_once()
            except ConnectionLost:
                await self._connection.ready()  # and on from the last ids
            except RedisError as exc:
                await self._on_error(exc)
            except Exception:
                logger.exception("cannot read events, trying again")
                await asyncio.sleep(1)
            finally:
                self._armed = None

    async def _read_once(self) -> None:
        if not self._streams:
            self._wanted.clear()
            return
        armed = self._armed = dict(self._streams)
        self._woken = False
        ids: list[Argument] = [str(stream.last_id) for stream in armed.values()]
        command: list[Argument] = ["XREAD", "COUNT", PAGE, "BLOCK", BLOCK_TIME * 1000, "STREAMS", self._wake_key]
        answer: list[t.Any] | None = await self._connection.execute(*command, *armed, str(self._wake_id), *ids)
        for key, entries in answer or ():
            if key == self._wake_key:
                self._wake_id = StreamId.parse(entries[-1][0])
            else:  # a stream that was left meanwhile has no sinks; joined again, it is another one
                self._dispatch(armed[key], [Event.of(entry) for entry in entries])

    def _dispatch(self, stream: _Stream, events: t.Sequence[Event]) -> None:
        for event in events:
            stream.last_id = event.id
            for sink in tuple(stream.sinks):
                sink.take(event)

    async def _on_error(self, error: RedisError) -> None:
        """End the listeners of streams that are none, since one such key fails the read of all."""
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


def _ignore_loss(answer: asyncio.Future[t.Any]) -> None:
    if not answer.cancelled():
        answer.exception()  # the wait ends by itself a little later
