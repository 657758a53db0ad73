"""The WSGI driver: an app for any WSGI server, or a part of one."""

from __future__ import annotations

import contextlib
import io
import os
import socket
import typing as t
from http import HTTPStatus

from .protocol.messages import READ_HEADERS, Headers, Request, Response
from .receiver.handler import BaseHandler, HandlerOptions
from .receiver.receiver import ReadPlan
from .receiver.sync_driver import SyncDriver
from .receiver.timed_reads import BodyTooSlow, Stream, timed_chunks
from .workers.worker import Worker

if t.TYPE_CHECKING:
    from wsgiref.types import StartResponse, WSGIEnvironment

CONNECTION_KEYS = ("gunicorn.socket", "werkzeug.socket")
"""Where servers put the connection of a request into its environ."""


class WSGIDriver(SyncDriver):
    """Translate between WSGI and the receiver, for the handler below and for adapters."""

    def register_once(self) -> None:
        """Register the workers unless this process has done so before: cheap enough for every request."""
        self.registrar.start_once()

    def respond_to(self, environ: WSGIEnvironment, path: str, *, stream: Stream | None = None) -> Response:
        """Answer a WSGI request. `path` is the part of it below the mount.

        `stream` has the body and ends with it, if something in front of the handler has read from the server's.
        """
        self.register_once()
        request = Request(environ["REQUEST_METHOD"], path, headers_of(environ))
        return self.respond(request, lambda plan: self._read(environ, plan, stream))

    def _read(self, environ: WSGIEnvironment, plan: ReadPlan, stream: Stream | None) -> bytes | Response:
        size = plan.max_size + 1
        if stream is None and not environ.get("wsgi.input_terminated"):
            size = min(size, plan.declared_size or 0)  # the stream may not end by itself
        source: Stream = environ["wsgi.input"] if stream is None else stream
        until = plan.received_at + plan.timeout
        chunks: list[bytes] = []
        with _connection(environ) as connection:
            try:
                for chunk in timed_chunks(source, size, until=until, connection=connection):
                    chunks.append(chunk)  # noqa: PERF402 - those before an exception count
            except BodyTooSlow:
                return self.receiver.too_slow(plan, sum(map(len, chunks)))
            except Exception as exc:  # noqa: BLE001 - each server raises its own for a body that breaks off
                return self.receiver.body_missing(plan, f"reading it raised {type(exc).__name__}")
        return b"".join(chunks)


@contextlib.contextmanager
def _connection(environ: WSGIEnvironment) -> t.Generator[socket.socket | None]:
    """Find the connection that a request's body comes from, if the server shows it."""
    for key in CONNECTION_KEYS:
        if key in environ:
            yield environ[key]
            return
    stream = environ.get("wsgi.input")
    if isinstance(stream, io.BufferedReader) and isinstance(t.cast("t.Any", stream).raw, socket.SocketIO):
        with socket.socket(fileno=os.dup(stream.fileno())) as duplicate:
            yield duplicate
        return
    yield None


class NextMQWSGIHandler(BaseHandler):
    """The endpoint that you serve or mount as a WSGI app: `NextMQWSGIHandler(workers=[…])`.

    It registers your workers with its first request, verifies each delivery, runs the processor and returns the
    signed outcome. `HandlerOptions` has the options. Raises ConfigurationError.
    """

    def __init__(self, workers: t.Iterable[Worker], **options: t.Unpack[HandlerOptions]) -> None:
        super().__init__(workers, **options)
        self._driver = WSGIDriver(self._receiver)

    def register(self) -> None:
        """Register the workers in the background now, instead of with the first request."""
        self._driver.registrar.start()

    def __call__(self, environ: WSGIEnvironment, start_response: StartResponse) -> t.Iterable[bytes]:
        # WSGI hands the path's bytes over as latin-1.
        path = environ.get("PATH_INFO", "").encode("latin-1", "replace").decode("utf-8", "replace")
        response = self._driver.respond_to(environ, path)
        status = f"{response.status} {HTTPStatus(response.status).phrase}"
        start_response(status, text_headers(response))
        return [response.body]


def create_nextmq_wsgi_handler(
    workers: t.Iterable[Worker], **options: t.Unpack[HandlerOptions]
) -> NextMQWSGIHandler:
    """Return a `NextMQWSGIHandler` for `workers`, with the same options. Raises ConfigurationError."""
    return NextMQWSGIHandler(workers, **options)


def headers_of(environ: WSGIEnvironment) -> Headers:
    """Return the request's headers that the handler reads. WSGI joins repeated ones with a comma."""
    return Headers([(name, _bytes(environ[key])) for name, key in _HEADERS if key in environ])


def text_headers(response: Response) -> list[tuple[str, str]]:
    """Return the headers of a response as text."""
    return [(name.decode("latin-1"), value.decode("latin-1")) for name, value in response.headers]


def _bytes(value: object) -> bytes:
    # Servers hand over latin-1 strings. What is not ASCII is refused as malformed.
    text = str(value)
    return text.encode("ascii") if text.isascii() else b"\xff"


def _environ_key(header: str) -> str:
    key = header.upper().replace("-", "_")
    return key if key in ("CONTENT_TYPE", "CONTENT_LENGTH") else "HTTP_" + key


_HEADERS = [(name.encode(), _environ_key(name)) for name in READ_HEADERS]
