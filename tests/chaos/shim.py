"""A TCP relay that can cut its connections, stall them, or swallow the answers."""

from __future__ import annotations

import asyncio
import contextlib
import socket
import struct
import typing as t

Connecting = t.Awaitable[tuple[asyncio.StreamReader, asyncio.StreamWriter]]

_RESET_ON_CLOSE = struct.pack("ii", 1, 0)


class Shim:
    """Relays connections to `port` to where `connect` leads. All methods run on one event loop."""

    def __init__(self, port: int, connect: t.Callable[[], Connecting]) -> None:
        self._port = port
        self._connect = connect
        self._listener: asyncio.Server | None = None
        self._relays: set[asyncio.Task[None]] = set()
        self._requests_flow, self._answers_flow = asyncio.Event(), asyncio.Event()

    async def restore(self) -> None:
        """Relay connections from now on."""
        self._requests_flow.set()
        self._answers_flow.set()
        if self._listener is None:
            self._listener = await asyncio.start_server(self._relay, "127.0.0.1", self._port)

    async def cut(self) -> None:
        """Reset all connections and refuse new ones."""
        if self._listener is not None:
            self._listener.close()
            self._listener = None
        for relay in self._relays:
            relay.cancel()
        if self._relays:
            await asyncio.wait(self._relays)

    def stall(self) -> None:
        """Hold back all data in both directions, but keep connections and accept new ones."""
        self._requests_flow.clear()
        self._answers_flow.clear()

    def lose_answers(self) -> None:
        """Let requests through and hold back their answers, which a `cut` then loses."""
        self._answers_flow.clear()

    async def _relay(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        task = asyncio.current_task()
        assert task is not None
        self._relays.add(task)
        writers = [writer]
        try:
            there, back = await self._connected()
            writers.append(back)
            ways = (_copy(reader, back, self._requests_flow), _copy(there, writer, self._answers_flow))
            await _first_of(*ways)
        except asyncio.CancelledError:
            for each in writers:
                _reset(each)
        except OSError:
            pass  # one side has gone
        finally:
            for each in writers:
                each.close()
            self._relays.discard(task)

    async def _connected(self) -> tuple[asyncio.StreamReader, asyncio.StreamWriter]:
        """Connect once somebody listens: as a platform that restarts a crashed app does."""
        while True:
            with contextlib.suppress(OSError):
                return await self._connect()
            await asyncio.sleep(0.05)


async def _copy(reader: asyncio.StreamReader, writer: asyncio.StreamWriter, flow: asyncio.Event) -> None:
    while data := await reader.read(65536):
        await flow.wait()
        writer.write(data)
        await writer.drain()


async def _first_of(*ways: t.Coroutine[t.Any, t.Any, None]) -> None:
    tasks = [asyncio.create_task(way) for way in ways]
    try:
        await asyncio.wait(tasks, return_when=asyncio.FIRST_COMPLETED)
    finally:
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)


def _reset(writer: asyncio.StreamWriter) -> None:
    with contextlib.suppress(OSError):
        connection: socket.socket = writer.get_extra_info("socket")
        connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, _RESET_ON_CLOSE)
    writer.transport.abort()
