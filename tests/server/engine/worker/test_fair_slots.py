"""Slots between projects: nobody is kept from starting by a project whose deliveries do not end."""

from __future__ import annotations

import asyncio

import pytest
from hypothesis import given
from hypothesis import strategies as st

from nextmq_server.engine.worker.slots import QueueSlots, Slots

pytestmark = pytest.mark.anyio

SIZES = (1, 2, 3, 7, 8, 9, 20, 63, 64, 65, 100, 127, 128, 200, 1000, 10_000)


def reserve(slots: int) -> int:
    return max(1, slots // 8)


def few(slots: int) -> int:
    return max(1, slots // 64)


def greedy(slots: Slots) -> QueueSlots:
    """Return a project that has taken all it may."""
    queue = slots.for_project().for_origin(None)
    while queue.take(10_000):
        pass
    return queue


async def turn(queue: QueueSlots) -> asyncio.Task[bool]:
    """Have the queue wait for a turn, and let it get in line."""
    task = asyncio.create_task(queue.take_turn())
    await asyncio.sleep(0)
    return task


@pytest.mark.parametrize("size", SIZES)
def test_a_project_alone_takes_all(size: int) -> None:
    assert Slots(size).for_project().for_origin(None).take(10_000) == size


@pytest.mark.parametrize("size", SIZES)
def test_one_of_several_projects_leaves_the_reserve(size: int) -> None:
    slots = Slots(size)
    others = [slots.for_project() for _ in range(2)]
    taken = slots.for_project().for_origin(None).take(10_000)
    assert (taken, len(others)) == (max(size - reserve(size), few(size)), 2)


@pytest.mark.parametrize("size", [size for size in SIZES if size >= 64])
@pytest.mark.parametrize("others", range(1, 8))
def test_beside_seven_greedy_projects_a_new_one_starts_at_once(size: int, others: int) -> None:
    slots = Slots(size)
    newcomer = slots.for_project().for_origin(None)
    held = [greedy(slots) for _ in range(others)]
    assert (newcomer.take(1), len(held)) == (1, others)


@pytest.mark.parametrize("size", [size for size in SIZES if size >= 2])
def test_beside_one_greedy_project_a_new_one_starts_at_once(size: int) -> None:
    slots = Slots(size)
    newcomer = slots.for_project().for_origin(None)
    held = greedy(slots)
    assert newcomer.take(1) == 1
    held.release()


@pytest.mark.parametrize("size", SIZES)
def test_what_is_given_back_may_be_taken_again(size: int) -> None:
    slots = Slots(size)
    queue = slots.for_project().for_origin(None)
    for _ in range(3):
        queue.release(queue.take(10_000))
    assert queue.take(10_000) == size


@pytest.mark.parametrize("per_origin", [1, 2, 8, 20])
def test_an_origin_that_projects_share_has_a_reserve_too(per_origin: int) -> None:
    slots = Slots(1000, per_origin)
    one, other = (slots.for_project().for_origin("https://hooks.example") for _ in range(2))
    taken = one.take(10_000)
    assert (taken, other.take(1)) == (max(per_origin - reserve(per_origin), 1), int(per_origin > 1))


@pytest.mark.parametrize("per_origin", [1, 2, 8, 20])
def test_an_origin_of_one_project_is_all_its_own(per_origin: int) -> None:
    slots = Slots(1000, per_origin)
    one, other = (slots.for_project().for_origin(f"https://{name}.example") for name in "ab")
    assert (one.take(10_000), other.take(10_000)) == (per_origin, per_origin)


def test_a_project_that_left_an_origin_has_no_share_of_it() -> None:
    slots = Slots(1000, 8)
    one, other = slots.for_project(), slots.for_project()
    queue, moving = one.for_origin("https://a.example"), other.for_origin("https://a.example")
    assert queue.take(100) == 7
    moving = other.for_origin("https://b.example")
    assert (queue.take(100), moving.take(100)) == (1, 8)


async def test_a_free_slot_goes_to_the_project_with_the_fewest_in_flight() -> None:
    slots = Slots(16)
    a, b, c = (slots.for_project().for_origin(None) for _ in range(3))
    assert [a.take(8), b.take(5), c.take(2)] == [8, 5, 1]  # the reserve is what is left
    many, fewer = await turn(b), await turn(c)
    a.release()
    await fewer
    assert (many.done(), fewer.result()) == (False, True)
    b.give_up()
    await many


async def test_of_projects_with_as_many_in_flight_the_one_that_waits_longest_is_next() -> None:
    slots = Slots(16)
    a, b, c = (slots.for_project().for_origin(None) for _ in range(3))
    assert [a.take(8), b.take(3), c.take(3)] == [8, 3, 3]
    first, second = await turn(c), await turn(b)
    a.release()
    await first
    assert second.done() is False
    a.release()
    assert await second


async def test_queues_of_a_project_have_their_turns_in_order() -> None:
    slots = Slots(1)
    project = slots.for_project()
    queues = [project.for_origin(None) for _ in range(4)]
    assert queues[0].take(1) == 1
    turns = [await turn(queue) for queue in queues[1:]]
    done: list[list[bool]] = []
    for holder in queues[:3]:
        holder.release()
        await asyncio.sleep(0)
        done.append([each.done() for each in turns])
    assert done == [[True, False, False], [True, True, False], [True, True, True]]


@pytest.mark.parametrize(("held", "waiting", "wanted"), [(3, 1, True), (2, 1, True), (1, 1, False), (1, 2, False)])
async def test_a_queue_goes_on_unless_a_project_with_fewer_waits(held: int, waiting: int, wanted: bool) -> None:
    slots = Slots(100)
    one, other, rest = (slots.for_project().for_origin(None) for _ in range(3))
    assert (one.take(held), other.take(waiting)) == (held, waiting)
    rest.take(10_000)
    waits = await turn(other)
    assert one.is_wanted is wanted
    other.give_up()
    await waits


@given(
    size=st.integers(1, 200),
    projects=st.integers(1, 10),
    calls=st.lists(st.tuples(st.integers(0, 9), st.integers(-50, 50)), max_size=60),
)
def test_whatever_projects_take_and_give_back_the_bounds_hold(
    size: int, projects: int, calls: list[tuple[int, int]]
) -> None:
    slots = Slots(size)
    queues = [slots.for_project().for_origin(None) for _ in range(projects)]
    held = [0] * projects
    most = size if projects == 1 else max(size - reserve(size), few(size))
    for number, change in calls:
        project = number % projects
        if change > 0:
            held[project] += queues[project].take(change)
        elif held[project]:
            back = min(held[project], -change)
            queues[project].release(back)
            held[project] -= back
        assert sum(held) <= size
        assert max(held) <= most


@given(size=st.integers(1, 64), order=st.lists(st.integers(0, 5), min_size=1, max_size=40))
def test_whoever_waits_gets_a_slot_as_they_come_back(size: int, order: list[int]) -> None:
    async def play() -> None:
        slots = Slots(size)
        queues = [slots.for_project().for_origin(None) for _ in range(6)]
        waiting = [(queues[number], await turn(queues[number])) for number in order]
        for _ in order:
            holder = next((pair for pair in waiting if pair[1].done()), None)
            assert holder is not None, "slots are free and nobody gets one"
            waiting.remove(holder)
            holder[0].release()
            await asyncio.sleep(0)
        assert waiting == []

    asyncio.run(play())
