"""One connection: uvicorn's protocol over httptools, with a bound on all that a client can make it hold."""

from __future__ import annotations

import asyncio
import json
import typing as t

import httptools
from uvicorn.config import Config
from uvicorn.protocols.http.httptools_impl import STATUS_LINE, HttpToolsProtocol, RequestResponseCycle
from uvicorn.server import ServerState

from . import bounds

EXTENSION = "nextmq.connection"
"""The ASGI extension of a scope that holds its connection."""


class Doorkeeper(t.Protocol):
    """What knows all connections: the front."""

    def enter(self, connection: BoundedConnection) -> None: ...

    def leave(self, connection: BoundedConnection) -> None: ...

    def admit(self, connection: BoundedConnection) -> None: ...

    async def refuse(self, connection: BoundedConnection, what: str) -> None: ...

    def origin(self, connection: BoundedConnection) -> str: ...

    def note(self, connection: BoundedConnection, what: str) -> None: ...


class _Unwanted(Exception):
    """Raised into the parser, to stop it: a request begins before the one before it is answered."""


class _Outlet(asyncio.Transport):
    """What an answer is written to. It counts the bytes; `close` leaves time to read the answer."""

    __slots__ = ("_connection", "_transport", "written")

    def __init__(self, connection: BoundedConnection, transport: asyncio.Transport) -> None:
        self._connection = connection
        self._transport = transport
        self.written = 0

    def write(self, data: bytes | bytearray | memoryview) -> None:
        self.written += len(data)
        self._transport.write(data)

    def close(self) -> None:
        self._connection.end()

    def is_closing(self) -> bool:
        return self._connection.is_ending or self._transport.is_closing()


class BoundedConnection(HttpToolsProtocol):
    """A connection that takes one request at a time.

    It is unknown until the app says, with `admit`, that a request on it had a valid API key. The front calls
    `look` at regular intervals. `since` is when the state that the connection is in began, in s on the event
    loop's clock: it waits for a head or a body, has a request that is not answered yet, or ends.
    """

    parser: httptools.HttpRequestParser

    def __init__(
        self,
        front: Doorkeeper,
        config: Config,
        server_state: ServerState,
        app_state: dict[str, t.Any],
        _loop: asyncio.AbstractEventLoop | None = None,
    ) -> None:
        super().__init__(config, server_state, app_state, _loop)
        self.front = front
        self.extensions = {EXTENSION: self}
        self.is_ending = False
        self._is_in_head = True
        self._is_discarding = False
        self._may_stay = True
        self._request_size = self._body_size = self._discarded = 0
        self.since = self._read_since = self.loop.time()
        self._read = 0
        self._outlet: _Outlet = None  # type: ignore[assignment] # set with the transport

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]
        """Count the connection."""
        super().connection_made(transport)
        self._outlet = _Outlet(self, transport)
        self.front.enter(self)

    def connection_lost(self, exc: Exception | None) -> None:
        """Free what the connection holds."""
        self.front.leave(self)
        super().connection_lost(exc)
        # Without circles, all of it is freed at once: garbage is collected rarely.
        self.extensions.clear()
        self._outlet = None  # type: ignore[assignment]
        cycle = t.cast("RequestResponseCycle | None", self.cycle)
        if cycle is not None:
            cycle.body = bytearray()
            cycle.transport = self.transport

    @property
    def peer(self) -> str:
        """The address at the other end, "" for a Unix socket."""
        return self.client[0] if self.client else ""

    @property
    def is_idle(self) -> bool:
        """Whether no request is in progress."""
        return self._is_in_head or self.is_ending

    @property
    def forwarded_for(self) -> list[bytes]:
        """The x-forwarded-for headers of the request in progress."""
        if self.is_idle:
            return []
        return [value for name, value in self.scope["headers"] if name == b"x-forwarded-for"]

    def drop(self) -> None:
        """Reset the connection: there are too many."""
        self.front.leave(self)
        self.transport.abort()

    # What the client sends

    def data_received(self, data: bytes) -> None:
        """Parse at most MAX_HEAD bytes of head, and as much framing as body."""
        if self._is_discarding:
            self._discard(len(data))
            return
        try:
            left = bounds.MAX_HEAD - self._request_size
            if self._is_in_head and len(data) > left:
                self.parser.feed_data(data[:left])
                if self._is_in_head:
                    self._refuse(
                        431, "head_too_large", f"the head of a request has at most {bounds.MAX_HEAD} bytes"
                    )
                    return
                self._request_size, data = bounds.MAX_HEAD, data[left:]
            self.parser.feed_data(data)
        except httptools.HttpParserUpgrade as exc:  # it is answered like any other
            if (end := exc.args[0]) < len(data):
                self._refuse_more(len(data) - end)
                return
        except httptools.HttpParserError as exc:
            if isinstance(exc.__context__, _Unwanted):
                self._refuse_more(len(data))
            else:
                self._refuse(400, "invalid_http", "this is not an HTTP/1.1 request")
            return
        self._request_size += len(data)
        if self._request_size > bounds.MAX_HEAD + bounds.MAX_FRAMING + 2 * self._body_size:
            self._refuse(
                400, "invalid_http", "the body is sent in chunks that are too small, or with too much beside it"
            )

    def on_message_begin(self) -> None:
        """Begin a request."""
        if not self._is_in_head:
            raise _Unwanted
        super().on_message_begin()
        self.scope["extensions"] = self.extensions  # type: ignore[typeddict-item]
        self.since = self.loop.time()

    def on_headers_complete(self) -> None:
        """Start the app."""
        if self.parser.should_upgrade() and _has_body(self.headers):
            raise ValueError("the parser skips the body of a request that asks for an upgrade")
        super().on_headers_complete()
        self.headers = []  # of what comes now: trailers, which nobody reads
        self._is_in_head = False
        self.since = self.loop.time()
        self.cycle.transport = self._outlet
        # An answer that comes before the whole request ends the connection.
        self._may_stay, self.cycle.keep_alive = self._may_stay and self.cycle.keep_alive, False

    def on_body(self, body: bytes) -> None:
        """Take a part of the body."""
        self._body_size += len(body)
        super().on_body(body)

    def on_message_complete(self) -> None:
        """End a request."""
        super().on_message_complete()
        if not self.cycle.response_started:
            self.cycle.keep_alive = self._may_stay

    # What the client gets

    def on_response_complete(self) -> None:
        """Wait for the next request."""
        self.server_state.total_requests += 1
        if self._outlet.is_closing():
            return
        self._is_in_head = True
        self._request_size = self._body_size = 0
        self.since = self.loop.time()
        self.flow.resume_reading()

    def shutdown(self) -> None:
        """End the connection when the request in progress is answered."""
        self._may_stay = False
        super().shutdown()

    def end(self) -> None:
        """Close, once the answer is sent. If the client may still send, it first gets time to read the answer."""
        if self.is_ending or self.transport.is_closing():
            return
        if not (self._is_in_head or self._is_discarding or self.cycle.more_body):
            self.transport.close()
            return
        # To close with bytes unread would reset the connection, and the client might lose the answer.
        self.is_ending = self._is_discarding = True
        self.since = self.loop.time()
        self.transport.write_eof()
        self.flow.resume_reading()

    def look(self, now: float) -> None:
        """Close the connection if the client is too slow."""
        if self._is_stuck(now):
            self.front.note(self, "did not read an answer")
            self.transport.abort()
        elif self.is_ending:
            if now - self.since > bounds.LINGER:
                self.transport.close()
        elif self._is_in_head:
            if now - self.since > bounds.HEAD_TIMEOUT:
                self._time_out()
        elif self.cycle.more_body and now - self.since > self._body_time:
            self._refuse(408, "request_timeout", "the body of the request came too slowly")

    @property
    def _body_time(self) -> float:
        return bounds.BODY_TIMEOUT + self._body_size / bounds.MIN_BODY_RATE

    def _is_stuck(self, now: float) -> bool:
        """Return whether the client has read less than MIN_READ bytes of what waits for it in SEND_TIMEOUT."""
        waiting = self.transport.get_write_buffer_size()
        read = self._outlet.written - waiting
        if not waiting or read - self._read >= bounds.MIN_READ:
            self._read, self._read_since = read, now
        return now - self._read_since > bounds.SEND_TIMEOUT

    def _time_out(self) -> None:
        if self._request_size:
            self._refuse(408, "request_timeout", f"the head took longer than {bounds.HEAD_TIMEOUT:g} s")
        else:
            self.transport.close()

    def _refuse(self, status: int, code: str, message: str) -> None:
        """Answer for the app, unless it has begun to answer, and end the connection."""
        self.front.note(self, f"sent a request that was refused with {status} {code}")
        if not self._is_in_head:
            self.cycle.disconnected = True
            self.cycle.message_event.set()
            if self.cycle.response_started:
                self.transport.abort()
                return
        body = json.dumps({"error": code, "message": message, "details": {}}).encode("ascii")
        head = b"content-type: application/json\r\nconnection: close\r\ncontent-length: %d\r\n\r\n" % len(body)
        self._outlet.write(STATUS_LINE[status] + head + body)
        self.end()

    def _refuse_more(self, size: int) -> None:
        """Answer the request in progress, and throw away what comes after it."""
        self._may_stay = self.cycle.keep_alive = False
        self._is_discarding = True
        self._discard(size)

    def _discard(self, size: int) -> None:
        self._discarded += size
        if self._discarded > bounds.MAX_DISCARDED:
            self.transport.abort()


def _has_body(headers: t.Iterable[tuple[bytes, bytes]]) -> bool:
    return any(
        name == b"transfer-encoding" or (name == b"content-length" and value != b"0") for name, value in headers
    )
