"""A multiplexed connection to Redis or Valkey: all callers share one socket to the primary.

That makes the engine fast. Blocking commands need a connection of their own.
"""

from __future__ import annotations

import asyncio
import contextlib
import itertools
import random
import typing as t

from nextmq_handler.errors import ConfigurationError

from ..tasks import end_tasks
from .address import Address
from .primary import CannotConnect, Primary, Session
from .resp import Argument, ConnectionLost, RedisError
from .silence import watch

__all__ = ["Argument", "ConnectionLost", "RedisConnection", "RedisError"]

MAX_RETRY_DELAY = 1.0
"""How long (s) to wait at most before connecting again."""


class RedisConnection:
    """One connection, which connects again by itself after it was lost.

    Commands that block do so for `blocks` s at most.
    """

    def __init__(self, address: Address, *, name: str, blocks: float = 0.0) -> None:
        self.next_return = asyncio.Event()
        self._address = address
        self._primary = Primary.of(address)
        self._name = name
        self._blocks = blocks
        self._session: Session | None = None
        self._keeper: asyncio.Task[None] | None = None
        self._connected = asyncio.Event()

    async def connect(self) -> None:
        """Connect now. Raises ConfigurationError if Redis cannot be reached or refuses the connection."""
        try:
            self._session = await self._primary.open(self._name, is_first=True)
        except CannotConnect as exc:
            raise ConfigurationError(
                f"cannot reach Redis at {self._address}: {exc}; is it running, and is --redis-url right?"
            ) from exc
        self._connected.set()
        self._primary.join()
        self._keeper = asyncio.create_task(self._keep(self._session))

    async def close(self) -> None:
        """Close for good."""
        if self._keeper is not None:
            await end_tasks(self._keeper)
            await self._primary.part()
        if self._session is not None:
            self._primary.closed(self._session)
            self._session.protocol.close()
            await self._session.protocol.wait_closed()

    @classmethod
    @contextlib.asynccontextmanager
    async def opened(cls, address: Address, *, name: str) -> t.AsyncGenerator[t.Self]:
        """Give a connection that is closed at the end. Raises ConfigurationError as `connect` does."""
        connection = cls(address, name=name)
        await connection.connect()
        try:
            yield connection
        finally:
            await connection.close()

    async def ready(self) -> None:
        """Wait until the connection is up."""
        if self._session is not None and self._session.protocol.lost.is_set():
            self._connected.clear()  # the keeper may not have run yet: callers must not spin until it has
        await self._connected.wait()

    def execute(self, *command: Argument) -> asyncio.Future[t.Any]:
        """Send a command. The future raises RedisError or ConnectionLost, the latter at once if not connected."""
        assert self._session is not None, "connect() first"
        return self._session.protocol.send(command)

    async def _keep(self, session: Session) -> None:
        """Keep the connection up. `next_return` is set, and becomes another event, at each return."""
        while True:
            await watch(
                session.protocol,
                blocks=self._blocks,
                on_silence=self._primary.silent,
                on_doubt=self._primary.doubt,
            )
            self._connected.clear()
            self._primary.lost(session)
            session = self._session = await self._open_again(session)
            self._connected.set()
            returned, self.next_return = self.next_return, asyncio.Event()
            returned.set()

    async def _open_again(self, before: Session) -> Session:
        for retry in itertools.count():
            pause = min(MAX_RETRY_DELAY, 0.05 * 2 ** min(retry, 10))
            await asyncio.sleep(pause * random.uniform(0.5, 1))  # noqa: S311
            with contextlib.suppress(CannotConnect):
                session = await self._primary.open(self._name, is_first=False)
                try:
                    await _end(before, session)
                except BaseException:
                    self._primary.closed(session)
                    session.protocol.leave("closed")
                    raise
                return session
        raise AssertionError  # the tries do not end


async def _end(before: Session, now: Session) -> None:
    """Let Redis drop what it has of the connection before: no command of that runs any more after this."""
    if before.client_id and before.run_id and before.run_id == now.run_id:
        with contextlib.suppress(RedisError, ConnectionLost):
            await now.protocol.send(("CLIENT", "KILL", "ID", before.client_id))
