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
from .http1 import HTTPConnection, Origin, ReadingTurns
from .reuse import AT_ONCE, MEMORY, OBSERVED, IdleTime
from .shortage import is_own_shortage

CONNECT_TIMEOUT = 15.0
"""How long, in s, a lookup, a connection and its TLS handshake may take together."""

_SWEEP = 0.25
"""How often, in s, idle connections are looked at."""

_CLOCK_STEP = 0.001
"""How exact the event loop's clock is, in s. A look that came sooner would see a connection idle too briefly."""

_OBSERVERS = 2
"""How many connections that are too old to be used again are kept open, to see how long the app keeps them."""

_AT_FIRST = 64
"""How many idle connections are kept as long as little is known of the app: those of a busy queue's next jobs."""

_NEXT_ADDRESS = 0.25
"""After this long, in s, the next address of a name is tried at the same time."""

_connect_to_one: t.Callable[..., t.Awaitable[socket.socket]] = t.cast("t.Any", aiohappyeyeballs).start_connection


class NotConnected(Exception):
    """No connection could be made, so nothing was sent. The message says why."""


class NoSocket(Exception):
    """The same, because this server has no socket left. The message says why."""


class _KnownOrigin:
    """An origin's idle connections, the newest last, and how long they may be used again."""

    __slots__ = ("idle", "kept", "used_at")

    def __init__(self) -> None:
        self.kept: list[HTTPConnection] = []
        self.idle = IdleTime()
        self.used_at = 0.0


class ConnectionPool:
    """The connections of one event loop to any origin. It sets no bound: the queues' concurrency does."""

    def __init__(self, resolver: CheckedResolver) -> None:
        self._resolver = resolver
        self._loop = asyncio.get_running_loop()  # kept: each lookup is a system call
        self._open: set[HTTPConnection] = set()
        self._origins: dict[Origin, _KnownOrigin] = {}
        self._turns = ReadingTurns()
        self._sweeper = Timer(self._sweep)

    async def take(self, origin: Origin, *, deadline: float) -> HTTPConnection:
        """Return a connection to the origin: the one given back last, or a new one.

        Raises as `connect`.
        """
        known = self._origins.get(origin)
        now = self._loop.time()
        while known is not None and known.kept and now - known.kept[-1].idle_since <= known.idle.limit:
            connection = known.kept.pop()
            if connection.is_usable():
                connection.idle_for = now - connection.idle_since
                return connection
            known.idle.was_closed(now - connection.idle_since, now)
            connection.close()
        return await self.connect(origin, deadline=deadline)

    async def connect(self, origin: Origin, *, deadline: float) -> HTTPConnection:
        """Return a new connection to the origin.

        Raises NotConnected, also after `deadline`, s on the event loop's clock; NoSocket; EgressRefused.
        """
        now = self._loop.time()
        try:
            async with asyncio.timeout_at(min(deadline, now + CONNECT_TIMEOUT)):
                return await self._connect(origin)
        except TimeoutError:
            waited = min(deadline - now, CONNECT_TIMEOUT)
            why = f"no connection within {round(waited, 2):g} s"
            raise NotConnected(f"cannot connect to {origin.host}, port {origin.port}: {why}") from None

    def give_back(self, origin: Origin, connection: HTTPConnection, keep_alive: t.Sequence[bytes]) -> None:
        """Keep the connection for the next delivery, unless it is closed or the app closes it soon.

        `keep_alive` has the values of this header of its last answer.
        """
        if not connection.is_open:
            return
        known = self._origins.get(origin)
        if known is None:
            known = self._origins[origin] = _KnownOrigin()
        for value in keep_alive:
            known.idle.was_told(value)
        known.used_at = connection.idle_since = now = self._loop.time()
        if known.idle.limit > AT_ONCE or len(known.kept) < self._most_kept(known.idle):
            known.kept.append(connection)
        else:
            connection.close()
        self._sweeper.set(self._look_at(known, now))

    def broke(self, origin: Origin, connection: HTTPConnection) -> None:
        """Take note that the app closed a connection that was used again before it answered."""
        known = self._origins.get(origin)
        if known is not None:
            now = self._loop.time()
            known.idle.was_closed(connection.idle_for, now)

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
        """See which idle connections are still open, and close those that are of no use."""
        now = self._loop.time()
        for origin, known in tuple(self._origins.items()):
            if known.idle.is_outdated(now):
                known.idle = IdleTime()
            if known.kept and known.kept[0].is_usable():
                known.idle.stayed_open(now - known.kept[0].idle_since)
            known.kept = self._worth_keeping(known, now)
            if not known.kept and now - known.used_at > MEMORY:
                del self._origins[origin]
        if self._origins:
            self._sweeper.set(min(self._look_at(known, now) for known in self._origins.values()))

    def _look_at(self, known: _KnownOrigin, now: float) -> float:
        """Return when to look at the idle connections of an origin: soon, if they are about to tell more."""
        decided_after = known.idle.decided_after
        if not decided_after or not known.kept:
            return now + _SWEEP
        at = known.kept[0].idle_since + decided_after + _CLOCK_STEP
        return at if at > now else now + _SWEEP

    def _most_kept(self, idle: IdleTime) -> int:
        if idle.limit:
            return _AT_FIRST
        return _OBSERVERS if idle.is_worth_observing else 0

    def _worth_keeping(self, known: _KnownOrigin, now: float) -> list[HTTPConnection]:
        """Return the idle connections that may be used again or be observed; close the others."""
        kept: list[HTTPConnection] = []
        for number, connection in enumerate(known.kept):
            idle = now - connection.idle_since
            if idle <= known.idle.limit or (
                idle < OBSERVED and number < _OBSERVERS and known.idle.is_worth_observing
            ):
                kept.append(connection)
            else:
                connection.close()
        return kept

    def _close_idle(self) -> None:
        for known in self._origins.values():
            while known.kept:
                known.kept.pop().close()

    def _on_lost(self, connection: HTTPConnection) -> None:
        self._open.discard(connection)
        known = self._origins.get(connection.origin)
        if known is not None and connection in known.kept:
            known.kept.remove(connection)
            now = self._loop.time()
            known.idle.was_closed(now - connection.idle_since, now)

    async def _connect(self, origin: Origin) -> HTTPConnection:
        is_plain = origin.scheme == "http"
        name = None if is_plain else origin.host.rstrip(".")
        try:
            addresses = await self._resolver.resolve(origin.host, origin.port, is_plain=is_plain)
            connected = await _connect_to_one(addresses, happy_eyeballs_delay=_NEXT_ADDRESS)
            _, connection = await self._loop.create_connection(
                lambda: HTTPConnection(origin, self._on_lost, self._turns),
                sock=connected,
                ssl=None if is_plain else self._tls,
                server_hostname=name,
            )
        except (OSError, RuntimeError) as exc:
            why = getattr(exc, "strerror", None) or str(exc) or type(exc).__name__
            if isinstance(exc, OSError) and is_own_shortage(exc, is_ipv4=":" not in origin.host):
                self._close_idle()
                raise NoSocket(f"this server cannot open a connection: {why}") from None
            raise NotConnected(f"cannot connect to {origin.host}, port {origin.port}: {why}") from None
        if not connection.is_open:
            raise NotConnected(f"{origin.host}, port {origin.port}, closed the connection at once")
        self._open.add(connection)
        return connection
