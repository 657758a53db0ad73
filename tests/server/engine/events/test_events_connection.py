"""The one connection that all events come over: shared, idle, broken, stopped."""

from __future__ import annotations

import asyncio
import typing as t

import pytest

from nextmq_server.embedded import EmbeddedValkey
from nextmq_server.engine.events import hub as events_module
from nextmq_server.engine.events.streams import Event, StreamId
from nextmq_server.redis import connection as connection_module
from nextmq_server.redis.connection import ConnectionLost, RedisError
from tests.support.event_rig import Rig, running, take, take_all

if t.TYPE_CHECKING:
    from ...conftest import Engine, WaitUntil

pytestmark = pytest.mark.anyio


@pytest.fixture(autouse=True)
def _no_second_chance(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(events_module, "BLOCK_TIME", 3600)
    monkeypatch.setattr(connection_module, "MAX_RETRY_DELAY", 0.05)


@pytest.fixture
async def rig(engine: Engine) -> t.AsyncIterator[Rig]:
    """Give a hub without listeners."""
    async with running(engine) as rig:
        yield rig


@pytest.fixture
async def own_rig(own_engine: Engine) -> t.AsyncIterator[Rig]:
    """Give a hub without listeners on a Valkey that the test may stop."""
    async with running(own_engine) as rig:
        yield rig


async def test_a_queue_that_is_added_while_another_is_waited_for_is_heard(rig: Rig, wait_until: WaitUntil) -> None:
    async with rig.listen(queue="emails") as emails:
        reading = asyncio.create_task(take(emails, 1))
        await wait_until(rig.is_reading)
        async with rig.listen(queue="orders") as orders:
            first = asyncio.create_task(take(orders, 1))
            await asyncio.sleep(0)
            await rig.emit("of orders", queue="orders")
            assert await first == ["of orders"]
        await rig.emit("of emails")
        await reading


async def test_a_hundred_queues_take_one_connection(rig: Rig) -> None:
    async with asyncio.TaskGroup() as group, asyncio.timeout(60):
        ready = asyncio.Barrier(101)

        async def listen(queue: str) -> list[str]:
            async with rig.listen(queue=queue) as events:
                await ready.wait()
                return await take(events, 1)

        heard = [group.create_task(listen(f"queue-{number}")) for number in range(100)]
        await ready.wait()
        for number in range(100):
            await rig.emit(str(number), queue=f"queue-{number}")
        assert len(await rig.clients()) == 1
    assert [task.result() for task in heard] == [[str(number)] for number in range(100)]


async def test_without_a_listener_there_is_no_connection(rig: Rig) -> None:
    assert await rig.clients() == []


async def test_without_a_listener_nothing_is_read(rig: Rig, wait_until: WaitUntil) -> None:
    async with rig.listen(queue="emails") as events:
        await rig.emit("last")
        await take(events, 1)
        await wait_until(rig.is_reading)
    await rig.emit("unheard")

    async def is_idle() -> bool:
        return not await rig.is_reading()

    await wait_until(is_idle)
    await rig.emit("unheard")
    assert not await rig.is_reading()


async def test_between_events_nothing_is_read(own_rig: Rig, wait_until: WaitUntil) -> None:
    async with own_rig.listen(queue="emails") as emails, own_rig.listen(queue="orders") as orders:
        for events, queue in ((emails, "emails"), (orders, "orders")):
            await own_rig.emit("one", queue=queue)
            await take(events, 1)
            waiting = asyncio.create_task(take(events, 1))
            await wait_until(own_rig.is_reading)
            await own_rig.emit("two", queue=queue)
            await waiting
    stats: str = await own_rig.engine.redis.execute("INFO", "commandstats")
    (line,) = (line for line in stats.splitlines() if line.startswith("cmdstat_xread:"))
    assert int(line.split("calls=")[1].split(",")[0]) < 10


class Recorder:
    """Takes what the hub gives."""

    def __init__(self) -> None:
        self.names: list[str] = []

    def take(self, event: Event) -> None:
        self.names.append(event.name)

    def end(self, failure: Exception | None) -> None:
        pass


async def test_a_stream_joined_again_from_before_the_running_read_lacks_nothing(
    rig: Rig, wait_until: WaitUntil
) -> None:
    before, after = Recorder(), Recorder()
    await rig.hub.join(rig.key(), before)
    first_id = await rig.emit("one")
    await rig.emit("two")
    await wait_until(lambda: len(before.names) == 2)
    await wait_until(rig.is_reading)
    rig.hub.leave(rig.key(), before)
    await rig.commands.close()  # so that nothing can wake the read, which is one of what follows "two"
    rig.hub.join_at(rig.key(), after, StreamId.parse(first_id))
    await rig.emit("three")
    await wait_until(lambda: "three" in after.names)
    assert after.names == ["two", "three"]


async def test_an_event_while_the_connection_is_broken_is_told(rig: Rig, wait_until: WaitUntil) -> None:
    async with rig.listen() as events:
        await rig.emit("before")
        await take(events, 1)
        await wait_until(rig.is_reading)
        await rig.cut()
        await rig.emit("between")
        assert await take(events, 1) == ["between"]


async def test_no_event_is_told_twice_or_lost_while_connections_break(rig: Rig) -> None:
    names = list(map(str, range(200)))

    async def emit() -> None:
        for number, name in enumerate(names):
            await rig.emit(name)
            if number % 20 == 0:
                await rig.cut()

    async with rig.listen() as events, asyncio.TaskGroup() as group:
        group.create_task(emit())
        assert await take(events, 200) == names


async def test_events_go_on_after_redis_restarted(own_rig: Rig, own_valkey: EmbeddedValkey) -> None:
    async with own_rig.listen() as events:
        await own_rig.emit("before")
        await take(events, 1)
        own_valkey.stop()
        with pytest.raises(ConnectionLost):
            await own_rig.emit("lost")
        own_valkey.start()
        await own_rig.engine.redis.ready()
        await own_rig.emit("after")
        assert await take(events, 1) == ["after"]


async def test_nobody_listens_while_redis_is_gone(own_rig: Rig, own_valkey: EmbeddedValkey) -> None:
    own_valkey.stop()
    with pytest.raises(ConnectionLost):
        await own_rig.listen().__aenter__()


async def test_who_could_not_listen_takes_no_place(
    own_rig: Rig, own_valkey: EmbeddedValkey, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(events_module, "MAX_LISTENERS", 1)
    async with own_rig.listen():
        pass
    own_valkey.stop()
    with pytest.raises(ConnectionLost):
        await own_rig.listen().__aenter__()
    own_valkey.start()
    await own_rig.commands.ready()
    async with own_rig.listen() as events:
        assert events.last_id == (0, 0)


async def test_listeners_end_when_the_hub_stops(rig: Rig, wait_until: WaitUntil) -> None:
    async with rig.listen() as events:
        waiting = asyncio.create_task(take_all(events))
        await wait_until(rig.is_reading)
        await rig.hub.stop()
        assert await waiting == []


async def test_nobody_listens_to_a_hub_that_has_stopped(rig: Rig) -> None:
    await rig.hub.stop()
    with pytest.raises(ConnectionLost, match="stopping"):
        await rig.listen().__aenter__()


async def test_a_key_that_is_no_stream_is_an_error(rig: Rig) -> None:
    await rig.engine.redis.execute("SET", rig.key(), "text")
    with pytest.raises(RedisError, match="WRONGTYPE"):
        await rig.listen().__aenter__()


async def test_a_stream_that_turns_into_something_else_ends_its_listeners(rig: Rig) -> None:
    async with rig.listen(queue="broken") as broken:
        await rig.engine.redis.execute("SET", rig.key("broken"), "text")
        with pytest.raises(RedisError, match="WRONGTYPE"):
            await anext(broken)


async def test_a_stream_that_turns_into_something_else_does_not_end_others(
    rig: Rig, wait_until: WaitUntil
) -> None:
    async with rig.listen(queue="broken") as broken, rig.listen() as events:
        ending = asyncio.create_task(take(broken, 1))
        await wait_until(rig.is_reading)
        await rig.engine.redis.execute("SET", rig.key("broken"), "text")
        for name in ("one", "two"):
            await rig.emit(name)
        assert await take(events, 2) == ["one", "two"]
        with pytest.raises(RedisError, match="WRONGTYPE"):
            await ending
