"""A result is that of one job: a job that is added later under the same id never gets it, on both sides."""

from __future__ import annotations

import itertools
import typing as t

import pytest

from nextmq_handler import FlowProducer, JobRemovedError, Queue, QueueJob

from .sides import FAR, PATIENCE, Runs, local, real

AnyQueue = Queue[t.Any, t.Any]
AnyJob = QueueJob[t.Any, t.Any]
Add = t.Callable[[AnyQueue], AnyJob]
Remove = t.Callable[[AnyQueue, AnyJob], object]

DEDUPLICATED: t.Any = {"id": "d", "replace": True}


def add_delayed(queue: AnyQueue) -> AnyJob:
    return queue.add("second", job_id="a", delay=FAR)


def add_waiting(queue: AnyQueue) -> AnyJob:
    queue.pause()
    return queue.add("second", job_id="a")


def add_prioritized(queue: AnyQueue) -> AnyJob:
    queue.pause()
    return queue.add("second", job_id="a", priority=3)


def add_in_bulk(queue: AnyQueue) -> AnyJob:
    queue.pause()
    return queue.add_bulk([{"name": "other"}, {"name": "second", "opts": {"job_id": "a"}}])[1]


def add_parent(queue: AnyQueue) -> AnyJob:
    queue.pause()
    child: t.Any = {"name": "child", "queue_name": queue.name}
    root: t.Any = {"name": "second", "queue_name": queue.name, "opts": {"job_id": "a"}, "children": [child]}
    return FlowProducer().add(root).job


def add_child(queue: AnyQueue) -> AnyJob:
    queue.pause()
    child: t.Any = {"name": "second", "queue_name": queue.name, "opts": {"job_id": "a"}}
    root: t.Any = {"name": "parent", "queue_name": queue.name, "opts": {"job_id": "p"}, "children": [child]}
    return FlowProducer().add(root).children[0].job


def add_replaceable(queue: AnyQueue) -> AnyJob:
    return queue.add("second", job_id="a", delay=FAR, deduplication=DEDUPLICATED)


def drain(queue: AnyQueue, _job: AnyJob) -> None:
    queue.drain(delayed=True)


def clean(queue: AnyQueue, job: AnyJob) -> None:
    queue.clean(0, 0, t.cast("t.Any", job.get_state()))


def obliterate(queue: AnyQueue, _job: AnyJob) -> None:
    queue.obliterate(force=True)


def remove(_queue: AnyQueue, job: AnyJob) -> None:
    job.remove()


def remove_parent(queue: AnyQueue, _job: AnyJob) -> None:
    queue.remove("p")


def replace(queue: AnyQueue, _job: AnyJob) -> None:
    queue.add("third", job_id="b", delay=FAR, deduplication=DEDUPLICATED)


def drain_in_turn(queue: AnyQueue, job: AnyJob) -> None:
    job.change_priority(1)
    queue.drain(delayed=True)


ANY: tuple[Remove, ...] = (drain, clean, obliterate, remove)
SECOND_LIVES: list[tuple[Add, Remove]] = [
    *itertools.product((add_delayed, add_waiting, add_prioritized, add_in_bulk, add_replaceable), ANY),
    (add_waiting, drain_in_turn),
    (add_parent, remove),
    (add_parent, obliterate),
    (add_child, drain),
    (add_child, remove),
    (add_child, remove_parent),
    (add_replaceable, replace),
]


def ran(queue: AnyQueue, **opts: t.Any) -> AnyJob:
    """Return a job that has run and is not kept, or only by its options."""
    options: dict[str, t.Any] = {"job_id": "a", "remove_on_complete": True, **opts}
    job = queue.add("first", "first", **options)
    assert job.wait_until_finished(PATIENCE) == "first"
    return job


def another_life(add: Add, remove: Remove) -> t.Callable[[AnyQueue], AnyJob]:
    def play(queue: AnyQueue) -> AnyJob:
        ran(queue)
        second = add(queue)
        assert not second.deduplicated
        remove(queue, second)
        return second

    return play


def retried(queue: AnyQueue) -> AnyJob:
    job = ran(queue, remove_on_complete={"count": 5})
    queue.pause()
    job.retry("completed")
    queue.drain()
    return job


def retried_in_bulk(queue: AnyQueue) -> AnyJob:
    job = ran(queue, remove_on_complete={"count": 5})
    queue.pause()
    queue.retry_jobs("completed")
    queue.drain()
    return job


def numbered_again(queue: AnyQueue) -> AnyJob:
    first = ran(queue, job_id=None)
    queue.obliterate(force=True)
    second = queue.add("second", delay=FAR)
    assert second.id == first.id
    queue.drain(delayed=True)
    return second


def removed_with_its_parent(queue: AnyQueue) -> AnyJob:
    child: t.Any = {"name": "c", "queue_name": queue.name, "opts": {"remove_on_complete": {"count": 5}}}
    root: t.Any = {"name": "p", "queue_name": queue.name, "data": "first", "children": [child]}
    tree = FlowProducer().add(root)
    assert tree.job.wait_until_finished(PATIENCE) == "first"
    tree.job.remove()
    return tree.children[0].job


def removed_by_hand(queue: AnyQueue) -> AnyJob:
    job = ran(queue, remove_on_complete={"count": 5})
    job.remove()
    return job


STORIES: dict[str, t.Callable[[AnyQueue], AnyJob]] = {
    **{
        f"{add.__name__}-{remove.__name__}".replace("_", "-"): another_life(add, remove)
        for add, remove in SECOND_LIVES
    },
    "retried": retried,
    "retried-in-bulk": retried_in_bulk,
    "numbered-again": numbered_again,
    "removed-with-its-parent": removed_with_its_parent,
    "removed-by-hand": removed_by_hand,
}


@pytest.fixture(scope="module", params=["real", "local"])
def _side(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> t.Iterator[None]:
    """Let the SDK use one of the sides."""
    names = [*STORIES]
    folder = tmp_path_factory.mktemp("server")
    with real(names, Runs(), folder) if request.param == "real" else local(names, Runs()):
        yield


@pytest.mark.usefixtures("_side")
@pytest.mark.parametrize("story", STORIES)
def test_a_removed_job_has_no_result_of_an_earlier_one(story: str) -> None:
    job = STORIES[story](Queue(story))
    with pytest.raises(JobRemovedError):
        job.wait_until_finished(PATIENCE)
    Queue(story).obliterate(force=True)
