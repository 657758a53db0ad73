"""Reads that block in Redis and can be woken: a wake key is one of the keys that each read waits for."""

from __future__ import annotations

import asyncio
import logging
import typing as t

from nextmq_handler.errors import ConfigurationError

from ..tasks import end_tasks
from .address import Address
from .connection import Argument, ConnectionLost, RedisConnection

logger = logging.getLogger("nextmq_server.redis")

BLOCK_TIME = 1
"""How long (s) one read blocks at most: so a silent Redis is noticed here as soon as elsewhere."""

_ERROR_PAUSE = 1.0


class WakeableReader:
    """Repeats the blocking `read` on a connection of its own, after errors and lost connections too.

    `armed` is what the read waits for at the moment, None if no read runs: the reader sets it with `arm`.
    `commands` is the shared connection, over which `wake` ends the wait.
    """

    def __init__(
        self,
        address: Address,
        commands: RedisConnection,
        read: t.Callable[[], t.Awaitable[None]],
        *,
        name: str,
        wake_key: str,
        what: str,
    ) -> None:
        self.connection = RedisConnection(address, name=name, blocks=BLOCK_TIME)
        self.wake_key = wake_key
        self.armed: t.Collection[str] | None = None
        self._commands = commands
        self._read = read
        self._what = what
        self._woken = False
        self._task: asyncio.Task[None] | None = None

    @property
    def is_running(self) -> bool:
        """Whether `start` has succeeded."""
        return self._task is not None

    async def start(self) -> None:
        """Connect, then call `read` again and again. Raises ConnectionLost: `commands` was connected before."""
        try:
            await self.connection.connect()
        except ConfigurationError as exc:
            raise ConnectionLost(str(exc)) from None
        self._task = asyncio.create_task(self._repeat())

    async def stop(self) -> None:
        """Stop reading and disconnect."""
        await end_tasks(self._task)
        await self.connection.close()

    def arm(self, armed: t.Collection[str]) -> None:
        """Note what the read that begins now waits for."""
        self.armed, self._woken = armed, False

    def wake(self, *commands: t.Sequence[Argument]) -> None:
        """End the wait of the moment by `commands`, which write the wake key."""
        if self.armed is None or self._woken:
            return
        self._woken = True
        for command in commands:
            self._commands.execute(*command).add_done_callback(_ignore_loss)

    async def _repeat(self) -> None:
        while True:
            try:
                await self._read()
            except ConnectionLost:
                await self.connection.ready()
            except Exception:
                logger.exception("cannot %s, trying again", self._what)
                await asyncio.sleep(_ERROR_PAUSE)
            finally:
                self.armed = None


def _ignore_loss(answer: asyncio.Future[t.Any]) -> None:
    if not answer.cancelled():
        answer.exception()  # the read ends by itself a little later
