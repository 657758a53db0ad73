"""Locks are renewed at half of their own life, whatever other queues there are, and taken again if they ended."""

from __future__ import annotations

import types
import typing as t

import pytest
from hypothesis import given
from hypothesis import strategies as st

from nextmq_server.engine.queues.job import EngineJob
from nextmq_server.engine.worker import renewal, upkeep
from nextmq_server.engine.worker.running import JobRun

if t.TYPE_CHECKING:
    from ...conftest import Engine, Processor, WaitUntil

pytestmark = pytest.mark.anyio

SHORTEST, LONGEST = 1000, 60_000


class Job(t.NamedTuple):
    """A job that starts `at` s after the first look, in a queue with locks of `life` ms."""

    life: int
    at: float


jobs = st.lists(st.builds(Job, st.integers(SHORTEST, LONGEST), st.floats(0, 40)), min_size=1, max_size=20)


class Looks:
    """The upkeep of these jobs' queues, on a clock of its own. `oldest` is the greatest share of a life seen."""

    def __init__(self, jobs: t.Sequence[Job], monkeypatch: pytest.MonkeyPatch) -> None:
        self.now = 0.0
        self.oldest = 0.0
        self.calls = 0
        self._jobs = list(enumerate(jobs))
        self._queues = [self._queue(job) for job in jobs]
        clock = types.SimpleNamespace(monotonic=lambda: self.now)
        monkeypatch.setattr(renewal, "time", clock)
        monkeypatch.setattr(upkeep, "time", clock)
        connection: t.Any = types.SimpleNamespace(next_return=None)
        queues = {str(number): queue for number, queue in enumerate(self._queues)}
        self._upkeep = upkeep.Upkeep(queues, connection, t.cast("t.Any", None))

    async def run(self, seconds: float) -> None:
        """Look until `seconds` have passed."""
        while self.now < seconds:
            until = self.now + await self._upkeep._renew()
            for number, job in self._jobs:
                if self.now <= job.at < until:
                    self.start(number, str(number), job)
            self.now = until
            for queue in self._queues:
                for run in queue.active.values():
                    self.oldest = max(self.oldest, (self.now - run.renewed_at) * 1000 / run.lock_duration)

    def start(self, queue: int, job_id: str, job: Job) -> None:
        self._queues[queue].active[job_id] = running(job_id, job)

    def _queue(self, job: Job) -> t.Any:
        async def extend(job_ids: list[str], tokens: list[str], duration: int) -> list[str]:
            self.calls += 1
            return []

        pack = types.SimpleNamespace(extendJobLocks=extend)
        options = types.SimpleNamespace(lock_duration=job.life)
        return types.SimpleNamespace(active={}, options=options, scripts=types.SimpleNamespace(pack=pack))


def running(job_id: str, job: Job) -> JobRun:
    return JobRun(EngineJob(job_id, {}, "nmq-a:1"), job.at, job.life, t.cast("t.Any", None))


@given(jobs)
async def test_no_lock_is_older_than_half_of_its_life(jobs: list[Job]) -> None:
    with pytest.MonkeyPatch.context() as monkeypatch:
        looks = Looks(jobs, monkeypatch)
        await looks.run(60)
    assert looks.oldest <= renewal.HALF + 1e-6


async def test_many_locks_are_renewed_by_few_calls(monkeypatch: pytest.MonkeyPatch) -> None:
    looks = Looks([Job(30_000, 0)], monkeypatch)
    for number in range(1500):
        looks.start(0, str(number), Job(30_000, number / 100))
    await looks.run(30)
    assert looks.calls <= 15


async def test_a_job_with_the_shortest_lock_runs_once(
    engine: Engine, processor: type[Processor], wait_until: WaitUntil
) -> None:
    process = processor()
    process.gate.clear()
    hub = await engine.run(process, lock_duration=SHORTEST)
    job_id = await engine.add()
    await wait_until(lambda: process.running)
    run = hub.queues["emails"].active[job_id]
    began_at = run.renewed_at
    await wait_until(lambda: run.renewed_at > began_at + 4 * SHORTEST / 2000 or not process.running)
    process.gate.set()
    await engine.until_state(job_id, "completed")
    assert (len(process.started), process.aborted) == (1, [])


async def test_a_lock_that_ended_is_taken_again_while_nobody_else_has_started_the_job(
    engine: Engine, processor: type[Processor], wait_until: WaitUntil
) -> None:
    process = processor()
    process.gate.clear()
    hub = await engine.run(process, lock_duration=SHORTEST)
    job_id = await engine.add()
    await wait_until(lambda: process.running)
    await engine.redis.execute("DEL", engine.key(job_id, "lock"))
    run = hub.queues["emails"].active[job_id]
    since = run.renewed_at
    await wait_until(lambda: run.renewed_at > since)
    process.gate.set()
    await engine.until_state(job_id, "completed")
    assert (len(process.started), process.aborted) == (1, [])


async def test_a_verdict_after_the_lock_ended_counts_while_nobody_else_has_started_the_job(
    engine: Engine, processor: type[Processor], wait_until: WaitUntil
) -> None:
    process = processor()
    process.gate.clear()
    await engine.run(process, lock_duration=3_600_000)
    job_id = await engine.add()
    await wait_until(lambda: process.running)
    await engine.redis.execute("DEL", engine.key(job_id, "lock"))
    process.gate.set()
    await engine.until_state(job_id, "completed")
    assert len(process.started) == 1


@pytest.mark.parametrize(
    "theirs",
    [
        ("HINCRBY", "job", "ats", 1),
        ("HSET", "job", "processedOn", 1),
        ("LREM", "active", 0, "id"),
        ("SET", "lock", "3f1c2a44:0"),
        ("DEL", "job"),
    ],
    ids=lambda command: " ".join(map(str, command)),
)
async def test_a_lock_is_not_taken_from_who_has_the_job_by_now(
    engine: Engine, processor: type[Processor], wait_until: WaitUntil, theirs: tuple[t.Any, ...]
) -> None:
    process = processor()
    process.gate.clear()
    await engine.run(process, lock_duration=SHORTEST)
    job_id = await engine.add()
    await wait_until(lambda: process.running)
    names = {
        "job": engine.key(job_id),
        "active": engine.key("active"),
        "lock": engine.key(job_id, "lock"),
        "id": job_id,
    }
    await engine.redis.execute("DEL", names["lock"])
    await engine.redis.execute(*(names.get(part, part) for part in theirs))
    await wait_until(lambda: process.aborted)
    assert process.aborted == [job_id]
