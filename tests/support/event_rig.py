"""A hub of events beside a producer of events, for the tests of both."""

from __future__ import annotations

import contextlib
import typing as t

from nextmq_server.engine.events.hub import EventHub
from nextmq_server.engine.events.listener import Listener
from nextmq_server.engine.events.streams import Event
from nextmq_server.redis.connection import Argument, RedisConnection

if t.TYPE_CHECKING:
    from ..server.conftest import Engine


class Rig:
    """A hub on the Redis of an engine. Wherever it waits longer than a moment, a wake-up was lost."""

    def __init__(self, engine: Engine) -> None:
        self.engine = engine
        self.name = f"nextmq-{engine.prefix}-events"
        self.commands = RedisConnection(engine.address, name=f"{self.name}-commands")
        self.hub = EventHub(engine.address, self.commands, engine.keys, name=self.name)

    def listen(self, last_id: str = "$", *, queue: str = "emails") -> Listener:
        return Listener(self.hub, self.engine.jobs.scripts(queue), last_id)

    def key(self, queue: str = "emails") -> str:
        return self.engine.jobs.scripts(queue).keys["events"]

    async def emit(self, name: str, *, queue: str = "emails", **fields: Argument) -> str:
        """Add an event, as anybody may; its id."""
        flat = [part for pair in fields.items() for part in pair]
        return str(await self.engine.redis.execute("XADD", self.key(queue), "*", "event", name, *flat))

    async def clients(self) -> list[str]:
        """Return what Redis lists about the hub's connections, a line for each."""
        everyone: str = await self.engine.redis.execute("CLIENT", "LIST")
        return [line for line in everyone.splitlines() if f" name={self.name} " in line]

    async def is_reading(self) -> bool:
        """Whether a read waits for events."""
        return any(" cmd=xread " in line and " flags=b" in line for line in await self.clients())

    async def cut(self) -> None:
        """Break the hub's connection."""
        for line in await self.clients():
            await self.engine.redis.execute("CLIENT", "KILL", "ID", line.split()[0].removeprefix("id="))


@contextlib.asynccontextmanager
async def running(engine: Engine) -> t.AsyncGenerator[Rig]:
    """Give a hub without listeners."""
    rig = Rig(engine)
    await rig.commands.connect()
    yield rig
    await rig.hub.stop()
    await rig.commands.close()


async def take(events: t.AsyncIterator[Event], count: int) -> list[str]:
    """Return the names of the next events."""
    return [(await anext(events)).name for _ in range(count)]


async def take_all(events: t.AsyncIterator[Event]) -> list[Event]:
    return [event async for event in events]
