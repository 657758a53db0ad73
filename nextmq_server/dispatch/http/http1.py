"""One HTTP/1.1 connection to an app: one POST at a time, written as fast as the app reads."""

from __future__ import annotations

import asyncio
import collections
import select
import struct
import sys
import time
import typing as t

from nextmq_handler.protocol.messages import Headers

from ...timers import Timer
from .answer_reader import AnswerReader, BadAnswer
from .answers import AppAnswer

if sys.platform != "win32":
    import fcntl
    import termios

_AT_ONCE = 4 * 1024
"""How many bytes of an answer are read in one turn. Most answers have fewer."""

_PART = 64 * 1024
"""How many bytes of a request are written at once, so that a large one does not block the event loop."""


class Origin(t.NamedTuple):
    """The scheme, host and port that a connection belongs to."""

    scheme: str
    host: str
    port: int


class ClosedWhenIdle(BadAnswer):
    """A connection that was used again ended without a byte of answer: the app had closed it for being idle.

    `was_read` tells whether the app may have read the request. It has not if its system closed the connection
    without having got the whole of it.
    """

    def __init__(self, message: str, *, was_read: bool) -> None:
        super().__init__(message)
        self.was_read = was_read


class ReadingTurns:
    """Read large answers part by part, one part in each turn of the event loop, each connection after the others.

    An app can make its answer costly to read. This bounds for how long it keeps others waiting.
    """

    def __init__(self) -> None:
        self._loop = asyncio.get_running_loop()
        self._line: collections.deque[HTTPConnection] = collections.deque()

    def wait(self, connection: HTTPConnection) -> None:
        """Put the connection in line, unless it is there."""
        if connection not in self._line:
            self._line.append(connection)
            if len(self._line) == 1:
                self._loop.call_soon(self._next)

    def _next(self) -> None:
        connection = self._line[0]
        has_more = connection.read_on()
        self._line.popleft()
        if has_more:
            self._line.append(connection)
        if self._line:
            self._loop.call_soon(self._next)


class HTTPConnection(asyncio.Protocol):
    """A connection that stays open for another request only while the next answer cannot be another request's.

    `on_lost` is called when it ends. `idle_since` is when the last answer ended, s on the event loop's clock;
    `idle_for` is how long, in s, it had been idle before the request of the moment.
    """

    def __init__(self, origin: Origin, on_lost: t.Callable[[HTTPConnection], None], turns: ReadingTurns) -> None:
        self.origin = origin
        self.lost = asyncio.Event()
        self.idle_since = 0.0
        self.idle_for = 0.0
        self._on_lost = on_lost
        self._loop = asyncio.get_running_loop()  # kept: each lookup is a system call
        self._reader = AnswerReader()
        self._answer: asyncio.Future[AppAnswer] | None = None
        self._max_size = 0
        self._sent_at = 0.0
        self._elapsed: float | None = None
        self._deadline = 0.0
        self._timer = Timer(self._on_timer)
        self._unsent = memoryview(b"")
        self._is_paused = False
        self._has_answered = False
        self._is_unread = False
        self._turns = turns
        self._unread = bytearray()

    @property
    def is_open(self) -> bool:
        """Whether another request may be sent, as far as the event loop knows."""
        return not self._transport.is_closing()

    def is_usable(self) -> bool:
        """Return the same after asking the system too: the app may have closed it, or sent unexpected bytes."""
        return self.is_open and not self._has_input()

    async def post(self, head: bytes, body: bytes, *, max_size: int, deadline: float) -> AppAnswer:
        """Send a request and return its answer, with at most `max_size` bytes of the body.

        `head` ends with an empty line. Raises BadAnswer if the answer is malformed or cut off, ClosedWhenIdle if
        the connection was used before and ends without an answer, and TimeoutError at `deadline`, s on the event
        loop's clock. After any of them, or if cancelled, the connection is closed.
        """
        answer: asyncio.Future[AppAnswer] = self._loop.create_future()
        self._answer = answer
        self._max_size, self._sent_at, self._elapsed = max_size, time.monotonic(), None
        self._reader.begin(max_size)
        self._has_answered = False
        self._watch(deadline)
        self._transport.write(head + body[:_PART])
        if len(body) > _PART:
            self._unsent = memoryview(body)[_PART:]
            self._write_on()
        try:
            return await answer
        except BaseException:
            self.abort()
            raise
        finally:
            self._answer = None
            self._reader.begin(0)  # so that an idle connection keeps no body

    def close(self) -> None:
        """Close the idle connection in an orderly way."""
        self._transport.close()

    def abort(self) -> None:
        """Close the connection at once."""
        self._unsent = memoryview(b"")
        self._transport.abort()

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._transport = t.cast("asyncio.Transport", transport)
        self._descriptor: int = transport.get_extra_info("socket").fileno()
        self._has_input = _input_check(self._descriptor)

    def data_received(self, data: bytes) -> None:
        if len(data) > _AT_ONCE or self._unread:
            self._unread += data
            self._transport.pause_reading()
            self._turns.wait(self)
        else:
            self._read_part(data)

    def read_on(self) -> bool:
        """Read the next part of what arrived. Return whether there is more."""
        part = bytes(self._unread[:_AT_ONCE])
        del self._unread[:_AT_ONCE]
        if part:
            self._read_part(part)
        if self._transport.is_closing():
            self._unread.clear()
        elif not self._unread:
            self._transport.resume_reading()
        return bool(self._unread)

    def _read_part(self, data: bytes) -> None:
        answer, reader = self._answer, self._reader
        if answer is None or answer.done():
            self.abort()  # unexpected: the next request would take it for its answer
            return
        self._has_answered = True
        try:
            reader.feed(data)
        except BadAnswer as exc:
            answer.set_exception(exc)
        else:
            if self._elapsed is None and reader.has_head:
                self._elapsed = time.monotonic() - self._sent_at
            if reader.is_done:
                answer.set_result(self._read())
        if answer.done() and (self._unsent or not reader.keeps_alive):
            self.abort()

    def eof_received(self) -> None:
        # What closes a connection in an orderly way tells how far it has read. A reset does not.
        self._is_unread = _unacknowledged(self._descriptor) > 0

    def connection_lost(self, exc: Exception | None) -> None:
        self._timer.cancel()
        while self._unread and not self._is_answered():
            self._read_part(bytes(self._unread[:_AT_ONCE]))
            del self._unread[:_AT_ONCE]
        answer = self._answer
        if answer is not None and not answer.done():
            try:
                self._reader.end(exc)
            except BadAnswer as bad:
                was_idle = self.idle_since and not self._has_answered
                answer.set_exception(ClosedWhenIdle(str(bad), was_read=not self._is_unread) if was_idle else bad)
            else:
                answer.set_result(self._read())
        self.lost.set()
        self._on_lost(self)

    def pause_writing(self) -> None:
        self._is_paused = True

    def resume_writing(self) -> None:
        self._is_paused = False
        self._write_on()

    def _is_answered(self) -> bool:
        return self._answer is None or self._answer.done()

    def _watch(self, deadline: float) -> None:
        # Setting a timer costs as much as reading an answer. It stays set for the next requests, which come long
        # before their deadlines.
        self._deadline = deadline
        self._timer.set(deadline)

    def _on_timer(self) -> None:
        if self._answer is None or self._answer.done():
            return
        if self._loop.time() < self._deadline:
            self._watch(self._deadline)
        else:
            self._answer.set_exception(TimeoutError())

    def _write_on(self) -> None:
        while self._unsent and not self._is_paused:
            part, self._unsent = self._unsent[:_PART], self._unsent[_PART:]
            self._transport.write(part)

    def _read(self) -> AppAnswer:
        reader = self._reader
        return AppAnswer(
            status=reader.status,
            headers=Headers(reader.headers),
            body=bytes(reader.body[: self._max_size]),
            is_truncated=0 < self._max_size < len(reader.body),
            elapsed=self._elapsed or 0.0,
        )


def _input_check(descriptor: int) -> t.Callable[[], bool]:
    """Return a function that tells whether bytes, or the end, wait that the event loop has not seen yet."""
    if sys.platform == "win32":
        return lambda: bool(select.select([descriptor], [], [], 0)[0])
    poll = select.poll()
    poll.register(descriptor, select.POLLIN)
    return lambda: bool(poll.poll(0))


def _unacknowledged(descriptor: int) -> int:
    """Return how many bytes the other side's system has not acknowledged; 0 if that is not known."""
    if sys.platform == "win32":
        return 0
    try:
        return int(struct.unpack("i", fcntl.ioctl(descriptor, termios.TIOCOUTQ, b"\0" * 4))[0])
    except OSError:
        return 0
