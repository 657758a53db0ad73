"""Events of queues: the past and the present without a gap, slow listeners, ids."""

from __future__ import annotations

import asyncio
import random
import typing as t

import pytest
from hypothesis import given
from hypothesis import strategies as st

from nextmq_server.engine.events import hub as events_module
from nextmq_server.engine.events import listener as listener_module
from nextmq_server.engine.events.hub import TooManyListeners
from nextmq_server.engine.events.listener import Listener, TooSlow
from nextmq_server.engine.events.streams import StreamId
from tests.support.event_rig import Rig, running, take, take_all

if t.TYPE_CHECKING:
    from ...conftest import Engine, Processor, WaitUntil

pytestmark = pytest.mark.anyio


@pytest.fixture(autouse=True)
def _no_second_chance(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(events_module, "BLOCK_TIME", 3600)


@pytest.fixture
async def rig(engine: Engine) -> t.AsyncIterator[Rig]:
    """Give a hub without listeners."""
    async with running(engine) as rig:
        yield rig


async def test_a_job_that_runs_is_seen_as_bullmq_tells_it(
    engine: Engine, rig: Rig, processor: type[Processor]
) -> None:
    await engine.run(processor())
    async with rig.listen() as events:
        await engine.add()
        assert await take(events, 5) == ["added", "waiting", "active", "completed", "drained"]


async def test_an_event_has_its_fields(rig: Rig) -> None:
    async with rig.listen() as events:
        id = await rig.emit("removed", jobId="7", prev="waiting")
        assert await anext(events) == (StreamId.parse(id), "removed", {"jobId": "7", "prev": "waiting"})


async def test_what_was_before_is_not_told_from_now_on(rig: Rig) -> None:
    await rig.emit("before")
    async with rig.listen() as events:
        await rig.emit("after")
        assert await take(events, 1) == ["after"]


async def test_what_comes_between_entering_and_iterating_is_told(rig: Rig) -> None:
    async with rig.listen() as first:
        await rig.emit("one")
        await take(first, 1)
        async with rig.listen() as second:
            await rig.emit("two")
            await take(first, 1)  # the hub is past it
            assert await take(second, 1) == ["two"]


async def test_the_past_begins_after_the_id(rig: Rig) -> None:
    ids = [await rig.emit(f"event {number}") for number in range(3)]
    async with rig.listen(ids[0]) as events:
        assert await take(events, 2) == ["event 1", "event 2"]


async def test_the_present_follows_on_the_past(rig: Rig) -> None:
    await rig.emit("past")
    async with rig.listen("0") as events:
        assert await take(events, 1) == ["past"]
        await rig.emit("present")
        assert await take(events, 1) == ["present"]


async def test_a_past_of_many_pages_is_told_whole(rig: Rig, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(listener_module, "PAGE", 3)
    monkeypatch.setattr(events_module, "PAGE", 3)
    names = list(map(str, range(9)))
    for name in names:
        await rig.emit(name)
    async with rig.listen("0") as events:
        assert await take(events, 9) == names


async def test_an_id_of_the_future_does_not_hide_what_comes(rig: Rig) -> None:
    async with rig.listen("18446744073709551615-18446744073709551615") as events:
        await rig.emit("next")
        assert await take(events, 1) == ["next"]


async def test_queues_are_kept_apart(rig: Rig) -> None:
    async with rig.listen(queue="emails") as emails, rig.listen(queue="orders") as orders:
        await rig.emit("of orders", queue="orders")
        await rig.emit("of emails", queue="emails")
        assert [await take(emails, 1), await take(orders, 1)] == [["of emails"], ["of orders"]]


async def test_who_listens_again_hears_again(rig: Rig, wait_until: WaitUntil) -> None:
    async with rig.listen() as events:
        await rig.emit("one")
        await take(events, 1)
        await wait_until(rig.is_reading)
    await rig.emit("two")
    async with rig.listen() as events:
        await rig.emit("three")
        assert await take(events, 1) == ["three"]


@pytest.fixture
async def slow(rig: Rig, monkeypatch: pytest.MonkeyPatch) -> t.AsyncIterator[Listener]:
    """Give a listener that may be 3 events late and has not taken any of "0" to "9"."""
    monkeypatch.setattr(listener_module, "MAX_BACKLOG", 3)
    async with rig.listen() as slow, rig.listen() as quick:
        await rig.emit("hello")
        for listener in (slow, quick):
            await take(listener, 1)
        for number in range(10):
            await rig.emit(str(number))
            await take(quick, 1)
        yield slow


async def test_a_slow_listener_is_told_after_what_it_can_still_have(slow: Listener) -> None:
    await take(slow, 3)
    with pytest.raises(TooSlow):
        await anext(slow)


async def test_a_slow_listener_ends_once_it_was_told(slow: Listener) -> None:
    await take(slow, 3)
    with pytest.raises(TooSlow):
        await anext(slow)
    assert await take_all(slow) == []


async def test_a_slow_listener_goes_on_where_it_was(rig: Rig, slow: Listener) -> None:
    heard = await take(slow, 3)
    async with rig.listen(str(slow.last_id)) as again:
        heard += await take(again, 7)
    assert heard == list(map(str, range(10)))


async def test_too_many_listeners_are_refused(rig: Rig, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(events_module, "MAX_LISTENERS", 1)
    async with rig.listen():
        with pytest.raises(TooManyListeners):
            await rig.listen().__aenter__()


async def test_a_listener_that_left_makes_place(rig: Rig, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(events_module, "MAX_LISTENERS", 1)
    async with rig.listen():
        pass
    async with rig.listen() as events:
        await rig.emit("heard")
        assert await take(events, 1) == ["heard"]


async def test_a_listener_cancelled_while_it_waits_loses_nothing(rig: Rig) -> None:
    async with rig.listen() as events:
        for name in map(str, range(20)):
            with pytest.raises(TimeoutError):
                async with asyncio.timeout(0):
                    await anext(events)
            await rig.emit(name)
            assert await take(events, 1) == [name]


async def test_an_entry_that_is_no_event_of_bullmq_is_passed_over(rig: Rig) -> None:
    async with rig.listen() as events:
        await rig.engine.redis.execute("XADD", rig.key(), "*", "something", "else")
        await rig.emit("event")
        assert await take(events, 1) == ["event"]


@pytest.mark.parametrize("seed", range(20))
async def test_listeners_with_any_start_hear_each_event_after_it_once(
    rig: Rig, monkeypatch: pytest.MonkeyPatch, seed: int
) -> None:
    chance = random.Random(seed)
    page = chance.choice([1, 2, 5])
    monkeypatch.setattr(listener_module, "PAGE", page)
    monkeypatch.setattr(events_module, "PAGE", page)
    ids = ["0-0"]
    heard: list[tuple[int, list[str]]] = []

    async def pause() -> None:
        for _ in range(chance.choice([0, 0, 1, 5, 30])):
            await asyncio.sleep(0)

    async def emit() -> None:
        for _ in range(60):
            ids.append(await rig.emit("tick"))
            await pause()

    async def listen() -> None:
        start = chance.randrange(len(ids))
        count = chance.randint(0, 60 - start)
        async with rig.listen(ids[start]) as events:
            seen: list[str] = []
            for _ in range(count):
                seen.append(str((await anext(events)).id))
                await pause()
            heard.append((start, seen))

    async def listen_again_and_again() -> None:
        for _ in range(4):
            await pause()
            await listen()

    async with asyncio.TaskGroup() as group:
        group.create_task(emit())
        for _ in range(4):
            group.create_task(listen_again_and_again())
    assert heard == [(start, ids[start + 1 : start + 1 + len(seen)]) for start, seen in heard]


@given(st.integers(0, 2**64 - 1), st.integers(0, 2**64 - 1))
def test_an_id_is_read_as_it_is_written(ms: int, sequence: int) -> None:
    assert StreamId.parse(str(StreamId(ms, sequence))) == (ms, sequence)


@pytest.mark.parametrize(
    "text",
    [
        "",
        "-",
        "1-",
        "-1",
        "1-1-1",
        "a",
        "+1",
        " 1",
        "1_0",
        "\u0661",
        "1-*",
        "$",
        f"{2**64}",
        f"1-{2**64}",
        "9" * 9999,
    ],
    ids=lambda text: ascii(text[:20]),
)
def test_what_is_not_one_or_two_numbers_of_64_bits_is_no_id(text: str) -> None:
    with pytest.raises(ValueError, match="id of an event"):
        StreamId.parse(text)
