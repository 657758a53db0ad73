"""WSGI servers of this process, each as it is used: what they hand over as `wsgi.input` differs."""

from __future__ import annotations

import contextlib
import socket
import threading
import typing as t
from collections.abc import Callable, Iterator
from wsgiref.simple_server import WSGIRequestHandler, WSGIServer, make_server
from wsgiref.types import WSGIApplication

import gunicorn.config
import gunicorn.glogging
import gunicorn.workers.sync
from werkzeug.serving import WSGIRequestHandler as WerkzeugRequestHandler
from werkzeug.serving import make_server as make_werkzeug_server

from tests.conformance.integrations.integration import Answer, HeaderList
from tests.conformance.integrations.processes import head_of, read_answer

PATIENCE = 5.0
"""How long, in s, a test waits for an answer."""


class Server(t.NamedTuple):
    """Serves one connection after the other on `port`, from the app that was set last."""

    port: int
    apps: list[WSGIApplication]

    def serve(self, app: t.Any) -> socket.socket:
        """Serve `app` from now on. Return a new connection to it."""
        self.apps[:] = [app]
        return socket.create_connection(("127.0.0.1", self.port), timeout=PATIENCE)

    def post(self, app: t.Any, path: str, headers: HeaderList, body: bytes) -> Answer:
        """Send one request to `app`, on a connection that stays open for the answer."""
        with self.serve(app) as connection:
            connection.sendall(head_of("POST", path, headers) + body)
            return read_answer(connection)


class _Silent(WSGIRequestHandler):
    def log_message(self, format: str, *args: object) -> None:
        """Log nothing."""


class _SilentWerkzeug(WerkzeugRequestHandler):
    def log(self, type: str, message: str, *args: t.Any) -> None:
        """Log nothing."""


@contextlib.contextmanager
def _serving(make: Callable[[WSGIApplication], WSGIServer]) -> Iterator[Server]:
    apps: list[WSGIApplication] = []

    def app(environ: t.Any, start_response: t.Any) -> t.Iterable[bytes]:
        return apps[0](environ, start_response)

    server = make(app)
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01})
    thread.start()
    yield Server(server.server_address[1], apps)
    server.shutdown()
    server.server_close()
    thread.join()


def wsgiref() -> contextlib.AbstractContextManager[Server]:
    """Serve with the standard library: `wsgi.input` is the buffered file of the connection."""
    return _serving(lambda app: make_server("127.0.0.1", 0, app, handler_class=_Silent))


def werkzeug() -> contextlib.AbstractContextManager[Server]:
    """Serve with Flask's development server: the same file, and the connection."""
    return _serving(
        lambda app: t.cast(
            "WSGIServer", make_werkzeug_server("127.0.0.1", 0, app, request_handler=_SilentWerkzeug)
        )
    )


@contextlib.contextmanager
def gunicorn_sync() -> Iterator[Server]:
    """Serve with gunicorn's worker for one request at a time: a reader of its own, and the connection."""
    apps: list[WSGIApplication] = []
    config = gunicorn.config.Config()
    worker = gunicorn.workers.sync.SyncWorker(0, 0, [], None, 30, config, gunicorn.glogging.Logger(config))
    worker.wsgi = lambda environ, start_response: apps[0](environ, start_response)
    worker.alive = True
    listener = socket.create_server(("127.0.0.1", 0))

    def accept() -> None:
        with contextlib.suppress(OSError):  # the listener is closed
            while True:
                client, address = listener.accept()
                worker.handle(listener, client, address)

    thread = threading.Thread(target=accept)
    thread.start()
    yield Server(listener.getsockname()[1], apps)
    listener.shutdown(socket.SHUT_RDWR)
    listener.close()
    thread.join()
    worker.tmp.close()


SERVERS: dict[str, Callable[[], contextlib.AbstractContextManager[Server]]] = {
    "wsgiref": wsgiref,
    "werkzeug": werkzeug,
    "gunicorn": gunicorn_sync,
}
