"""One socket to Redis or Valkey: the commands of one loop turn leave in few writes, answers come back in order."""

from __future__ import annotations

import asyncio
import collections
import contextlib
import socket
import typing as t

import hiredis

# A host that disappears without closing the connection is noticed after about 25 s.
_KEEPALIVE = {"TCP_KEEPIDLE": 10, "TCP_KEEPINTVL": 5, "TCP_KEEPCNT": 3, "TCP_USER_TIMEOUT": 25_000}

# Errors that do not depend on the command: this Redis is not the primary any more, or not yet.
_UNUSABLE = ("READONLY", "LOADING", "MASTERDOWN", "UNBLOCKED", "NOREPLICAS")

# Redis 6 puts its own words before the error of a script.
_UNUSABLE_IN_SCRIPT = ("-READONLY ", "-NOREPLICAS ")

# The part of an unknown command that Redis quotes may be the password of an AUTH.
_QUOTED = ", with args beginning with"

Argument = str | bytes | int | float

_pack: t.Callable[[tuple[Argument, ...]], bytes] = t.cast("t.Any", hiredis).pack_command


CLOSE_TIME = 1.0
"""How long (s) a connection may take to send what is left before it is closed anyway."""

MAX_BATCH = 8
"""After this many commands of one loop turn they leave: Redis works on them while the next ones are packed."""


class RedisError(Exception):
    """Redis answered a command with an error; the text starts with its code, such as NOSCRIPT or WRONGTYPE."""


class ConnectionLost(Exception):
    """The connection broke. Redis may or may not have run the command."""


class Protocol(asyncio.Protocol):
    """Sends commands and matches the answers to them in order. `lost` is set when the connection ends.

    It closes the connection to a Redis that takes no writes any more, as a primary that became a replica.
    `lost_because` says why it ended. `was_heard` is set by everything that comes; who watches resets it.
    """

    def __init__(self) -> None:
        self.transport: asyncio.Transport | None = None
        self.lost = asyncio.Event()
        self.lost_because = ""
        self.was_heard = False
        self._loop = asyncio.get_running_loop()  # kept, because each call is a system call
        self._reader = hiredis.Reader(encoding="utf-8", errors="surrogateescape")
        self._waiting: collections.deque[asyncio.Future[t.Any]] = collections.deque()
        self._outgoing: list[bytes] = []

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self.transport = t.cast("asyncio.Transport", transport)
        # uvloop sends what is beyond this mark at once, the rest at the end of the loop turn.
        self.transport.set_write_buffer_limits(high=0)
        _keep_alive(transport.get_extra_info("socket"))

    @property
    def is_owed(self) -> bool:
        """Whether an answer has still to come."""
        return bool(self._waiting)

    def send(self, command: t.Sequence[Argument]) -> asyncio.Future[t.Any]:
        answer: asyncio.Future[t.Any] = self._loop.create_future()
        if self.lost.is_set():
            answer.set_exception(ConnectionLost("not connected"))
            return answer
        if not self._outgoing:
            self._loop.call_soon(self._flush)
        self._outgoing.append(_pack(tuple(command)))
        self._waiting.append(answer)
        if len(self._outgoing) == MAX_BATCH:
            self._flush()
        return answer

    def _flush(self) -> None:
        data, self._outgoing = b"".join(self._outgoing), []
        if data and self.transport is not None and not self.transport.is_closing():
            self.transport.write(data)

    def ping(self) -> None:
        """Ask for a sign of life: `was_heard` tells whether it came."""
        self.send(("PING",)).add_done_callback(_forget)

    def data_received(self, data: bytes) -> None:
        self.was_heard = True
        self._reader.feed(data)
        while True:
            try:
                answer = self._reader.gets()
            except hiredis.ProtocolError as exc:  # not a Redis
                self.leave(str(exc))
                return
            if answer is False:
                return
            if not self._waiting:
                self.leave("it answered what nobody had asked")
                return
            future = self._waiting.popleft()
            if future.done():
                continue  # its caller was cancelled
            if isinstance(answer, hiredis.ReplyError):
                future.set_exception(self._error(str(answer)))
            else:
                future.set_result(answer)

    def _error(self, text: str) -> RedisError | ConnectionLost:
        if not text.startswith(_UNUSABLE) and not any(code in text for code in _UNUSABLE_IN_SCRIPT):
            return RedisError(text.partition(_QUOTED)[0])
        self.leave(text)
        return ConnectionLost(text)

    def close(self) -> None:
        if self.transport is not None:
            self.transport.close()

    async def wait_closed(self) -> None:
        """Wait for the end of a closed connection, which one to a silent Redis would not come to by itself."""
        try:
            async with asyncio.timeout(CLOSE_TIME):
                await self.lost.wait()
        except TimeoutError:
            self.leave("closed")

    def leave(self, why: str) -> None:
        """End the connection now: what was sent has no answer, what was not sent stays here."""
        self._lose(why)
        self._outgoing.clear()
        if self.transport is not None:
            self.transport.abort()

    def connection_lost(self, exc: Exception | None) -> None:
        self._lose(str(exc or "closed"))

    def _lose(self, why: str) -> None:
        self.lost_because = self.lost_because or why
        self.lost.set()
        for future in self._waiting:
            if not future.done():
                future.set_exception(ConnectionLost(why))
        self._waiting.clear()


def _forget(answer: asyncio.Future[t.Any]) -> None:
    if not answer.cancelled():
        answer.exception()


def _keep_alive(sock: socket.socket) -> None:
    if sock.family not in (socket.AF_INET, socket.AF_INET6):
        return
    with contextlib.suppress(OSError):  # some systems refuse it if the other side has closed meanwhile
        sock.setsockopt(socket.SOL_SOCKET, socket.SO_KEEPALIVE, 1)
        for option, value in _KEEPALIVE.items():
            if hasattr(socket, option):  # not all on every platform
                sock.setsockopt(socket.IPPROTO_TCP, getattr(socket, option), value)
