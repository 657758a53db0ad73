"""The front of a server process: which connections it keeps, and which of them it knows."""

from __future__ import annotations

import asyncio
import collections
import typing as t

from ..timers import Timer
from . import bounds
from .addresses import Network, is_proxy, network_of, origin
from .connection import BoundedConnection
from .refusals import Refusals


class Front:
    """The connections of a process, and the addresses that it refused.

    `trusted_proxies` are the networks whose x-forwarded-for names the caller. `max_connections` is
    MAX_CONNECTIONS, or less if the process may open fewer files.
    """

    def __init__(
        self, *, trusted_proxies: t.Sequence[Network] = (), max_connections: int = bounds.MAX_CONNECTIONS
    ) -> None:
        self._trusted_proxies = trusted_proxies
        self._max_connections = max_connections
        self._max_unknown = min(bounds.MAX_UNKNOWN, max_connections)
        self._connections: set[BoundedConnection] = set()
        self._unknown: dict[BoundedConnection, None] = {}  # the oldest first
        self._refusals = Refusals()
        self._sweeper: Timer | None = None

    def enter(self, connection: BoundedConnection) -> None:
        """Take a new connection. If there are too many, end the least useful one: it may be the new one."""
        if len(self._unknown) >= self._max_unknown:
            next(iter(self._unknown)).drop()
        elif len(self._connections) >= self._max_connections:
            self._least_useful(connection).drop()
        self._connections.add(connection)
        self._unknown[connection] = None
        if self._sweeper is None:
            self._sweeper = Timer(self._sweep)
        self._sweeper.set_in(bounds.SWEEP)

    def leave(self, connection: BoundedConnection) -> None:
        """Forget a connection that is lost, or about to be."""
        self._connections.discard(connection)
        self._unknown.pop(connection, None)

    def admit(self, connection: BoundedConnection) -> None:
        """Know the connection: a request on it had a valid API key."""
        self._unknown.pop(connection, None)

    async def refuse(self, connection: BoundedConnection, what: str) -> None:
        """Note a request without a valid API key. Wait, if its address sends many."""
        if connection in self._connections:
            self._unknown.setdefault(connection)
        delay = self._refusals.delay(self._network(connection), asyncio.get_running_loop().time())
        self.note(connection, what)
        if delay:
            await asyncio.sleep(delay)

    def note(self, connection: BoundedConnection, what: str) -> None:
        """Log what a caller did, unless that is in the log already."""
        self._refusals.log(self.origin(connection), what, asyncio.get_running_loop().time())

    def origin(self, connection: BoundedConnection) -> str:
        """Return the address of the caller: the peer's, or the one that a trusted proxy forwards."""
        return origin(connection.peer, connection.forwarded_for, self._trusted_proxies)

    def _network(self, connection: BoundedConnection) -> str:
        return network_of(self.origin(connection))

    def _is_counted(self, connection: BoundedConnection) -> bool:
        """Return whether the connection is its caller's alone: not one that a trusted proxy keeps for the next."""
        return not (connection.is_idle and is_proxy(connection.peer, self._trusted_proxies))

    def _least_useful(self, new: BoundedConnection) -> BoundedConnection:
        """Return the oldest unknown connection, else the one that is idle for longest, else the new one."""
        if self._unknown:
            return next(iter(self._unknown))
        idle = (connection for connection in self._connections if connection.is_idle)
        return min(idle, key=lambda connection: connection.since, default=new)

    def _sweep(self) -> None:
        now = asyncio.get_running_loop().time()
        for connection in tuple(self._connections):
            connection.look(now)
        self._bound_addresses(now)
        self._refusals.sweep(now)
        if self._connections and self._sweeper is not None:
            self._sweeper.set_in(bounds.SWEEP)

    def _bound_addresses(self, now: float) -> None:
        """End the oldest unknown connections of each address that has too many in which nothing happens."""
        if len(self._unknown) <= bounds.MAX_UNKNOWN_PER_ADDRESS:
            return
        kept: collections.Counter[str] = collections.Counter()
        for connection in reversed(tuple(self._unknown)):
            if now - connection.since < bounds.QUIET or not self._is_counted(connection):
                continue
            network = self._network(connection)
            kept[network] += 1
            if kept[network] > bounds.MAX_UNKNOWN_PER_ADDRESS:
                self.note(connection, "had too many connections without a valid API key")
                connection.drop()
