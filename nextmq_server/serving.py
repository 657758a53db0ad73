"""Serve HTTP with uvicorn: a socket to listen on, and a server that leaves signals to its process."""

from __future__ import annotations

import contextlib
import errno
import functools
import gc
import socket
import typing as t

import uvicorn

from nextmq_handler.errors import ConfigurationError

from .front.connection import BoundedConnection
from .front.descriptors import backlog
from .front.front import Front

_GC_THRESHOLDS = (20_000, 20, 50)  # adding 1,000 jobs fills one young generation, not fifty


class HTTPServer(uvicorn.Server):
    """A uvicorn server of an ASGI `app`. Set `should_exit` to stop it: it handles no signals itself.

    It gives open requests `shutdown_timeout` s to finish. `lifespan` is uvicorn's option. `front` bounds what
    callers can make the server hold; without one, callers have to be trusted.
    """

    def __init__(
        self,
        app: t.Any,
        *,
        shutdown_timeout: int,
        lifespan: t.Literal["auto", "off"] = "off",
        front: Front | None = None,
    ) -> None:
        super().__init__(
            uvicorn.Config(
                app,
                http="auto" if front is None else t.cast("t.Any", functools.partial(BoundedConnection, front)),
                backlog=backlog(),
                proxy_headers=False,  # uvicorn would believe them from a loopback address
                log_config=None,
                access_log=False,
                lifespan=lifespan,
                ws="none",
                timeout_graceful_shutdown=shutdown_timeout,
            )
        )

    @contextlib.contextmanager
    def capture_signals(self) -> t.Generator[None]:
        """Handle no signals: the server's process does."""
        yield


def listen(host: str, port: int, *, command: str) -> socket.socket:
    """Return a socket that queues connections from now on. Raises ConfigurationError, naming `command`."""
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    listener = socket.socket(family, socket.SOCK_STREAM)
    listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    try:
        listener.bind((host, port))
    except OSError as exc:
        listener.close()
        taken = exc.errno == errno.EADDRINUSE
        what = f"is taken: is another {command} running? Choose one with --port" if taken else exc.strerror
        raise ConfigurationError(f"port {port} of {host} {what}") from None
    listener.listen(backlog())
    return listener


def base_url(host: str, listener: socket.socket) -> str:
    """Return the URL of a server on `listener`, which was bound to `host`."""
    return f"http://{f'[{host}]' if ':' in host else host}:{listener.getsockname()[1]}"


def collect_less_garbage() -> None:
    """Collect garbage less often from now on, and never what exists already: it stays for good."""
    gc.collect()
    gc.freeze()
    gc.set_threshold(*_GC_THRESHOLDS)
