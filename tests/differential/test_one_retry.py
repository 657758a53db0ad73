"""One failure, one retry: whether a job is retried, its dead letter redriven, or both, on both sides."""

from __future__ import annotations

import contextlib
import itertools
import typing as t

import pytest

from nextmq_handler import FlowProducer, JobFailedError, JobRemovedError, Queue, QueueJob

from .sides import PATIENCE, Runs, local, real

AnyQueue = Queue[t.Any, t.Any]
AnyJob = QueueJob[t.Any, t.Any]
Act = t.Callable[[AnyQueue, AnyQueue, AnyJob], object]

OPTIONS: dict[str, dict[str, t.Any]] = {
    "plain": {},
    "with-an-id": {"job_id": "a"},
    "prioritized": {"priority": 2},
    "lifo": {"lifo": True},
    "with-attempts": {"attempts": 2},
    "kept-by-count": {"remove_on_fail": {"count": 5}},
}


def retry(_queue: AnyQueue, _letters: AnyQueue, job: AnyJob) -> None:
    job.retry()


def retry_from_scratch(_queue: AnyQueue, _letters: AnyQueue, job: AnyJob) -> None:
    job.retry(reset_attempts_made=True, reset_attempts_started=True)


def retry_jobs(queue: AnyQueue, _letters: AnyQueue, _job: AnyJob) -> None:
    queue.retry_jobs("failed")


def redrive(_queue: AnyQueue, letters: AnyQueue, _job: AnyJob) -> None:
    letters.redrive()


def redrive_by_id(_queue: AnyQueue, letters: AnyQueue, _job: AnyJob) -> None:
    letters.redrive([letter.id for letter in letters.get_waiting()])


def remove(_queue: AnyQueue, _letters: AnyQueue, job: AnyJob) -> None:
    job.remove()


def remove_letter(_queue: AnyQueue, letters: AnyQueue, _job: AnyJob) -> None:
    letters.drain()


def run(queue: AnyQueue, _letters: AnyQueue, job: AnyJob) -> None:
    run_all(queue)
    with contextlib.suppress(JobFailedError, JobRemovedError):
        job.wait_until_finished(PATIENCE)
    queue.pause()


class Story(t.NamedTuple):
    """What is done after the first failure; how often the job has run in the end, and its dead letters then."""

    acts: tuple[Act, ...]
    starts: int
    letters: int


RETRIES: tuple[Act, ...] = (retry, retry_from_scratch, retry_jobs)
REDRIVES: tuple[Act, ...] = (redrive, redrive_by_id)
STORIES: dict[str, Story] = {
    "-".join(act.__name__ for act in story.acts) or "nothing": story
    for story in (
        Story((), 1, 1),
        *(Story((act,), 2, 1) for act in (*RETRIES, *REDRIVES)),
        *(Story(acts, 2, 1) for acts in itertools.product(RETRIES, REDRIVES)),
        *(Story(acts, 2, 1) for acts in itertools.product(REDRIVES, REDRIVES)),
        *(Story((*acts, run), 2, 1) for acts in itertools.product(RETRIES, REDRIVES)),
        Story((retry, run, redrive), 3, 1),
        Story((retry, run, retry), 3, 1),
        Story((redrive, run, retry, redrive), 3, 1),
        Story((remove_letter, retry), 2, 1),
        Story((remove_letter, redrive), 1, 0),
    )
}
NAMES = [
    f"{story}.{options}"
    for story, options in itertools.product(STORIES, OPTIONS)
    if options in ("plain", "with-an-id") or story in ("redrive", "retry-redrive", "retry_jobs-redrive")
]
GONE = ["removed", "not-kept", "added-again", "repaired", "retried-with", "redriven-with", "child"]
RUNS = Runs()


@pytest.fixture(scope="module", params=["real", "local"])
def _side(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> t.Iterator[None]:
    """Let the SDK use one of the sides."""
    RUNS.seen.clear()
    names = [*NAMES, *GONE]
    folder = tmp_path_factory.mktemp("server")
    with real(names, RUNS, folder) if request.param == "real" else local(names, RUNS):
        yield
        for name in names:
            Queue(name).obliterate(force=True)
            Queue(f"{name}-dlq").obliterate(force=True)


def failed(queue: AnyQueue, mark: str, **opts: t.Any) -> AnyJob:
    """Return a job that has failed for good, of a queue that is paused then."""
    job = queue.add("job", {"mark": mark, "fails": "no such address"}, **opts)
    with contextlib.suppress(JobRemovedError), pytest.raises(JobFailedError):
        job.wait_until_finished(PATIENCE)
    queue.pause()
    return job


def run_all(queue: AnyQueue) -> None:
    """Run what waits: a job that is added last is done last."""
    queue.resume()
    last = queue.add("last", priority=9)
    last.wait_until_finished(PATIENCE)


@pytest.mark.usefixtures("_side")
@pytest.mark.parametrize("name", NAMES)
def test_a_failure_is_retried_once(name: str) -> None:
    story, options = name.split(".")
    queue, letters = Queue(name), Queue(f"{name}-dlq")
    job = failed(queue, name, **OPTIONS[options])
    for act in STORIES[story].acts:
        act(queue, letters, job)
    run_all(queue)
    assert (len(RUNS.of(name)), letters.count()) == (STORIES[story].starts, STORIES[story].letters)


@pytest.mark.usefixtures("_side")
@pytest.mark.parametrize(
    ("name", "opts", "acts"), [("removed", {}, (remove,)), ("not-kept", {"remove_on_fail": True}, ())]
)
def test_the_dead_letter_of_a_job_that_is_gone_becomes_a_job(
    name: str, opts: dict[str, t.Any], acts: tuple[Act, ...]
) -> None:
    queue, letters = Queue(name), Queue(f"{name}-dlq")
    job = failed(queue, name, job_id="a", **opts)
    for act in acts:
        act(queue, letters, job)
    letters.redrive()
    run_all(queue)
    assert (len(RUNS.of(name)), letters.count()) == (2, 1)


@pytest.mark.usefixtures("_side")
def test_the_dead_letter_of_an_earlier_job_with_the_id_becomes_a_job_of_its_own() -> None:
    queue, letters = Queue("added-again"), Queue("added-again-dlq")
    failed(queue, "added-again", job_id="a").remove()
    queue.add("job", {"mark": "added-again"}, job_id="a")
    letters.redrive()
    run_all(queue)
    assert (len(RUNS.of("added-again")), letters.count()) == (3, 1)


@pytest.mark.usefixtures("_side")
def test_a_job_is_retried_with_the_data_of_its_repaired_dead_letter() -> None:
    queue, letters = Queue("repaired"), Queue("repaired-dlq")
    job = failed(queue, "repaired")
    [letter] = letters.get_waiting()
    letter.update_data({**letter.data, "data": {"mark": "repaired", "to": "ä@example.com"}})
    letters.redrive()
    run_all(queue)
    assert job.wait_until_finished(PATIENCE) == {"mark": "repaired", "to": "ä@example.com"}


def retry_with(_queue: AnyQueue, _letters: AnyQueue, job: AnyJob) -> None:
    job.retry(data={"mark": "retried-with", "to": "ä@example.com"})


def redrive_with(_queue: AnyQueue, letters: AnyQueue, _job: AnyJob) -> None:
    [letter] = letters.get_waiting()
    letters.redrive([letter.id], data={"mark": "redriven-with", "to": "ä@example.com"})


@pytest.mark.usefixtures("_side")
@pytest.mark.parametrize(("name", "act"), [("retried-with", retry_with), ("redriven-with", redrive_with)])
def test_a_job_runs_again_with_the_data_that_comes_with_its_retry(name: str, act: Act) -> None:
    queue, letters = Queue(name), Queue(f"{name}-dlq")
    job = failed(queue, name)
    act(queue, letters, job)
    run_all(queue)
    assert job.wait_until_finished(PATIENCE) == {"mark": name, "to": "ä@example.com"}
    assert letters.count() == 0


@pytest.mark.usefixtures("_side")
def test_a_child_that_is_redriven_runs_for_its_parent() -> None:
    letters = Queue("child-dlq")
    child: t.Any = {"name": "c", "queue_name": "child", "data": {"mark": "child", "fails": "no"}}
    tree = FlowProducer().add(
        {"name": "p", "queue_name": "child", "data": {"mark": "parent"}, "children": [child]}
    )
    with pytest.raises(JobFailedError):
        tree.children[0].job.wait_until_finished(PATIENCE)
    [letter] = letters.get_waiting()
    letter.update_data({**letter.data, "data": {"mark": "child"}})
    letters.redrive()
    assert tree.job.wait_until_finished(PATIENCE) == {"mark": "parent"}
