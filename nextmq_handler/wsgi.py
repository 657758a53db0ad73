"""The WSGI driver: an app for any WSGI server, or a part of one."""

from __future__ import annotations

import time
import typing as t
from http import HTTPStatus

from .protocol.messages import Headers, Request, Response
from .receiver.receiver import READ_HEADERS, Handler, HandlerOptions, ReadPlan
from .receiver.sync_driver import BlockingDriver
from .workers.worker import Worker

if t.TYPE_CHECKING:
    from wsgiref.types import StartResponse, WSGIEnvironment

    from .settings import Settings

_CHUNK = 64 * 1024


class NextMQWSGIHandler:
    """A WSGI app that receives the deliveries for its workers. They register with its first request."""

    def __init__(self, handler: Handler) -> None:
        self._driver = BlockingDriver(handler)

    @property
    def workers(self) -> tuple[Worker, ...]:
        """The workers that are mounted here."""
        return self._driver.handler.workers

    def register(self) -> None:
        """Register the workers in the background now, instead of with the first request."""
        self._driver.registrar.start()

    def register_once(self) -> None:
        """`register`, unless that was done in this process: cheap enough for every request of an app."""
        self._driver.registrar.start_once()

    @property
    def settings(self) -> Settings:
        """What this handler was told, or reads in the environment. Raises ConfigurationError."""
        return self._driver.handler.settings

    def check(self) -> list[str]:
        """What is wrong with this set-up, in words; empty where nothing is."""
        return self._driver.handler.check()

    def respond(self, environ: WSGIEnvironment, path: str) -> Response:
        """The answer to a WSGI request, `path` being what is below the mount."""
        self.register_once()
        request = Request(environ["REQUEST_METHOD"], path, headers_of(environ))
        return self._driver.respond(request, lambda plan: self._read(environ, plan))

    def __call__(self, environ: WSGIEnvironment, start_response: StartResponse) -> t.Iterable[bytes]:
        # WSGI hands the path's bytes over as latin-1.
        path = environ.get("PATH_INFO", "").encode("latin-1", "replace").decode("utf-8", "replace")
        response = self.respond(environ, path)
        headers = [(name.decode("latin-1"), value.decode("latin-1")) for name, value in response.headers]
        start_response(status_line(response.status), headers)
        return [response.body]

    def _read(self, environ: WSGIEnvironment, plan: ReadPlan) -> bytes | Response:
        remaining = plan.max_size + 1
        if not environ.get("wsgi.input_terminated"):
            remaining = min(remaining, plan.declared_size or 0)  # the stream may not end by itself
        chunks: list[bytes] = []
        while remaining > 0:
            try:
                chunk: bytes = environ["wsgi.input"].read(min(_CHUNK, remaining))
            except Exception as exc:  # noqa: BLE001 - servers have errors of their own for a body that breaks off
                reason = f"the body cannot be read ({type(exc).__name__})"
                return self._driver.handler.unreadable(plan, reason)
            if not chunk:
                break
            remaining -= len(chunk)
            chunks.append(chunk)
            if time.monotonic() - plan.received_at > plan.timeout:
                return self._driver.handler.too_slow(plan.queue)
        return b"".join(chunks)


def create_nextmq_wsgi_handler(
    workers: t.Iterable[Worker], **options: t.Unpack[HandlerOptions]
) -> NextMQWSGIHandler:
    """A WSGI app that verifies deliveries, runs `workers` and answers with signed outcomes.

    `HandlerOptions` says what the options mean. Raises ConfigurationError.
    """
    return NextMQWSGIHandler(Handler(workers, **options))


def headers_of(environ: WSGIEnvironment) -> Headers:
    """The request's headers that the handler reads. WSGI joins repeated ones with a comma."""
    return Headers([(name, _bytes(environ[key])) for name, key in _HEADERS if key in environ])


def status_line(status: int) -> str:
    """What WSGI wants of a status."""
    return f"{status} {HTTPStatus(status).phrase}"


def _bytes(value: object) -> bytes:
    # A server hands strings of latin-1 over; what is not is refused as malformed, being not ASCII.
    text = str(value)
    return text.encode("ascii") if text.isascii() else b"\xff"


def _environ_key(header: str) -> str:
    key = header.upper().replace("-", "_")
    return key if key in ("CONTENT_TYPE", "CONTENT_LENGTH") else "HTTP_" + key


_HEADERS = [(name.encode(), _environ_key(name)) for name in READ_HEADERS]
