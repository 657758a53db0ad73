"""A multiplexed connection to Redis or Valkey: all callers share one socket to the primary.

That makes the engine fast. Blocking commands need a connection of their own.
"""

from __future__ import annotations

import asyncio
import logging
import random
import typing as t

from nextmq_handler.errors import ConfigurationError

from ..tasks import end_tasks
from .address import Address
from .primary import CannotConnect, open_primary
from .resp import Argument, ConnectionLost, Protocol, RedisError

__all__ = ["Argument", "ConnectionLost", "RedisConnection", "RedisError"]

logger = logging.getLogger("nextmq_server.redis")

MAX_RETRY_DELAY = 2.0
"""How long (s) to wait at most before connecting again."""


class RedisConnection:
    """One connection, which connects again by itself after it was lost."""

    def __init__(self, address: Address, *, name: str) -> None:
        self._address = address
        self._name = name
        self._protocol: Protocol | None = None
        self._keeper: asyncio.Task[None] | None = None
        self._connected = asyncio.Event()

    async def connect(self) -> None:
        """Connect now. Raises ConfigurationError if Redis cannot be reached or refuses the connection."""
        try:
            await self._open()
        except CannotConnect as exc:
            raise ConfigurationError(
                f"cannot reach Redis at {self._address}: {exc}; is it running, and is --redis-url right?"
            ) from exc
        self._keeper = asyncio.create_task(self._keep())

    async def close(self) -> None:
        """Close for good."""
        await end_tasks(self._keeper)
        if self._protocol is not None:
            self._protocol.close()
            await self._protocol.lost.wait()

    async def ready(self) -> None:
        """Wait until the connection is up."""
        if self._protocol is not None and self._protocol.lost.is_set():
            self._connected.clear()  # the keeper may not have run yet: callers must not spin until it has
        await self._connected.wait()

    def execute(self, *command: Argument) -> asyncio.Future[t.Any]:
        """Send a command. The future raises RedisError or ConnectionLost, the latter at once if not connected."""
        assert self._protocol is not None, "connect() first"
        return self._protocol.send(command)

    async def _open(self) -> None:
        self._protocol = await open_primary(self._address, self._name)
        self._connected.set()

    async def _keep(self) -> None:
        while True:
            assert self._protocol is not None
            await self._protocol.lost.wait()
            self._connected.clear()
            logger.error("lost the connection to Redis at %s, trying to connect again", self._address)
            retry, told = 0, ""
            while not self._connected.is_set():
                await asyncio.sleep(min(MAX_RETRY_DELAY, 0.05 * 2**retry) * random.uniform(0.5, 1))  # noqa: S311
                retry = min(retry + 1, 10)
                try:
                    await self._open()
                except CannotConnect as exc:
                    if (why := str(exc)) != told:
                        told = why
                        logger.warning("cannot connect to Redis at %s, trying again: %s", self._address, why)
            logger.warning("connected to Redis at %s again", self._address)
