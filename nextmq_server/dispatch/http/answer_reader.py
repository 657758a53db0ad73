"""Read HTTP/1.1 answers from bytes, within limits: llhttp parses, without I/O."""

from __future__ import annotations

import httptools

MAX_FRAMING = 256 * 1024
"""The most bytes of one answer outside its body: all heads, chunk sizes and extensions, trailers."""

MAX_PIECES = 4096
"""The most headers, trailers and chunks of one answer in all: each costs a call, however short it is."""

MAX_INFORMATIONAL = 10
"""The most informational answers (1xx) before one answer."""

_PIECE = 16 * 1024  # the limits are checked between two pieces


class BadAnswer(Exception):
    """What arrived is not a whole HTTP answer. The message quotes nothing of it."""


class AnswerReader:
    """Read the answers of one connection: `begin` each, then `feed` the bytes until it `is_done`.

    The answer is then in `status`, `headers` and `body`. Informational answers (1xx) are skipped; content codings
    are left as they are.
    """

    def __init__(self) -> None:
        self._parser = httptools.HttpResponseParser(self)
        self.begin(0)

    def begin(self, max_size: int) -> None:
        """Begin another answer. `body` exceeds `max_size` bytes if there is more; 0 reads the head only."""
        self.status = 0
        self.headers: list[tuple[bytes, bytes]] = []
        self.body = bytearray()  # not a list of parts: one-byte parts would take fifty times their size
        self.has_head = False
        self.keeps_alive = False
        """Whether the answer has been read to its end, and the next may follow on the same connection."""
        self._max_size = max_size
        self._received = 0
        self._body_size = 0
        self._informational = 0
        self._pieces = 0
        self._is_complete = False
        self._fault = ""

    @property
    def is_done(self) -> bool:
        """Whether nothing more has to be read."""
        return self._is_complete or self._has_enough

    def feed(self, data: bytes) -> None:
        """Read the next bytes. Raises BadAnswer."""
        if not self.has_head and len(data) <= _PIECE:  # most answers
            self._feed(data)
            return
        for start in range(0, len(data), _PIECE):
            if self._has_enough:
                self.keeps_alive = False
                return
            self._feed(data[start : start + _PIECE])

    def end(self, exc: Exception | None = None) -> None:
        """Handle the end of the connection. Raises BadAnswer if `exc` ended it, or the answer is not whole."""
        if exc is not None:
            raise BadAnswer(f"the connection broke: {exc}")
        if not self.has_head or self._has_length:
            raise BadAnswer("the connection was closed before the answer was whole")
        self._is_complete = True

    @property
    def _has_enough(self) -> bool:
        return self.has_head and (self._max_size == 0 or len(self.body) > self._max_size)

    @property
    def _has_length(self) -> bool:
        return any(name.lower() in (b"content-length", b"transfer-encoding") for name, _ in self.headers)

    def _feed(self, piece: bytes) -> None:
        self._received += len(piece)
        try:
            self._parser.feed_data(piece)
        except (httptools.HttpParserError, httptools.HttpParserUpgrade) as exc:
            self._fault = self._fault or f"the answer is not HTTP: {exc}"
        if self._received - self._body_size > MAX_FRAMING:
            self._fault = f"over {MAX_FRAMING // 1024} KiB of the answer are not body"
        elif self._pieces > MAX_PIECES:
            self._fault = f"the answer has over {MAX_PIECES} headers and chunks"
        if self._fault:
            self.keeps_alive = False
            if not self._has_enough:
                raise BadAnswer(self._fault)

    # The parser calls these. If one raised, the parser would only report that something did.

    def on_message_begin(self) -> None:
        if self._is_complete:
            self._fault = "more than one answer arrived"

    def on_header(self, name: bytes, value: bytes) -> None:
        self._pieces += 1
        if not self.has_head:  # otherwise it is a trailer
            self.headers.append((name, value.rstrip(b" \t")))

    def on_headers_complete(self) -> None:
        if self._is_complete:
            return
        self.status = self._parser.get_status_code()
        self.has_head = self.status >= 200
        if self.status == 101:
            self._fault = "the answer switches to another protocol"

    def on_chunk_header(self) -> None:
        self._pieces += 1

    def on_body(self, part: bytes) -> None:
        self._body_size += len(part)
        if not self._has_enough:
            self.body += part

    def on_message_complete(self) -> None:
        if self.has_head:
            self._is_complete = True
            self.keeps_alive = self._parser.should_keep_alive()
            return
        self.headers.clear()
        self._informational += 1
        if self._informational > MAX_INFORMATIONAL:
            self._fault = f"over {MAX_INFORMATIONAL} informational answers came before one"
