"""The connections to apps: opened to checked addresses, and kept briefly for the next delivery."""

from __future__ import annotations

import asyncio
import functools
import socket
import ssl
import typing as t

import aiohappyeyeballs

from ...timers import Timer
from ..egress.resolver import CheckedResolver
from .http1 import HTTPConnection

# Shorter than the keep-alive of common app servers (gunicorn 2 s, uvicorn and Node 5 s): if the app closes a
# connection while a request is sent, the job may have run.
_KEEPALIVE = 1.5

_NEXT_ADDRESS = 0.25
"""After this long, in s, the next address of a name is tried at the same time."""

_connect_to_one: t.Callable[..., t.Awaitable[socket.socket]] = t.cast("t.Any", aiohappyeyeballs).start_connection


class Origin(t.NamedTuple):
    """The scheme, host and port that a connection belongs to."""

    scheme: str
    host: str
    port: int


class NotConnected(Exception):
    """No connection could be made, so nothing was sent. The message says why."""


class ConnectionPool:
    """The connections of one event loop to any origin. It sets no bound: the queues' concurrency does."""

    def __init__(self, resolver: CheckedResolver) -> None:
        self._resolver = resolver
        self._loop = asyncio.get_running_loop()  # kept: each lookup is a system call
        self._open: set[HTTPConnection] = set()
        self._kept: dict[Origin, list[tuple[float, HTTPConnection]]] = {}
        self._sweeper = Timer(self._sweep)

    async def take(self, origin: Origin, *, deadline: float) -> HTTPConnection:
        """Return a connection to the origin: the one given back last, or a new one.

        Raises NotConnected, EgressRefused, and TimeoutError after `deadline`, s on the event loop's clock.
        """
        kept = self._kept.get(origin)
        oldest = self._loop.time() - _KEEPALIVE
        while kept:
            since, connection = kept.pop()
            if since > oldest and connection.is_usable():
                return connection
            connection.close()
        async with asyncio.timeout_at(deadline):
            return await self._connect(origin)

    def give_back(self, origin: Origin, connection: HTTPConnection) -> None:
        """Keep the connection for the next delivery, unless it is closed."""
        if not connection.is_open:
            return
        now = self._loop.time()
        self._kept.setdefault(origin, []).append((now, connection))
        self._sweeper.set(now + _KEEPALIVE)

    async def close(self) -> None:
        """Close all connections, including those in use."""
        self._sweeper.cancel()
        for connection in tuple(self._open):
            connection.abort()
            await connection.lost.wait()

    @functools.cached_property
    def _tls(self) -> ssl.SSLContext:
        """The TLS settings: they check an app's certificate and name."""
        context = ssl.create_default_context()
        context.set_alpn_protocols(["http/1.1"])
        return context

    def _sweep(self) -> None:
        """Close the connections that were idle for too long."""
        oldest = self._loop.time() - _KEEPALIVE
        for origin, kept in tuple(self._kept.items()):
            while kept and kept[0][0] <= oldest:
                kept.pop(0)[1].close()
            if not kept:
                del self._kept[origin]
        if self._kept:
            self._sweeper.set_in(_KEEPALIVE)

    async def _connect(self, origin: Origin) -> HTTPConnection:
        is_plain = origin.scheme == "http"
        name = None if is_plain else origin.host.rstrip(".")
        try:
            addresses = await self._resolver.resolve(origin.host, origin.port, is_plain=is_plain)
            connected = await _connect_to_one(addresses, happy_eyeballs_delay=_NEXT_ADDRESS)
            _, connection = await self._loop.create_connection(
                lambda: HTTPConnection(self._open.discard),
                sock=connected,
                ssl=None if is_plain else self._tls,
                server_hostname=name,
            )
        except OSError as exc:
            why = exc.strerror or str(exc) or type(exc).__name__
            raise NotConnected(f"cannot connect to {origin.host}, port {origin.port}: {why}") from None
        if not connection.is_open:
            raise NotConnected(f"{origin.host}, port {origin.port}, closed the connection at once")
        self._open.add(connection)
        return connection
