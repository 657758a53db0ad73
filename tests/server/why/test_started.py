"""For any state of a queue: why has no causes for exactly the job that the engine would start now."""

from __future__ import annotations

import time
import typing as t

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from nextmq_handler.rules.limits import UNLIMITED
from nextmq_server.engine.queues.queues import apply_worker_concurrency
from nextmq_server.engine.scripts.scripts import QueueScripts
from nextmq_server.engine.worker.gate import Gate
from nextmq_server.engine.worker.options import RunnerOptions
from nextmq_server.overview.node_workers import NodeWorkers
from nextmq_server.quota import ProjectQuota, QuotaLimits
from nextmq_server.why.why import Why
from nextmq_server.workers.registration import RegisteredOptions, Registration
from tests.support.api import one_service

if t.TYPE_CHECKING:
    from ..conftest import Engine

pytestmark = pytest.mark.anyio

HOUR = 3_600_000


class State(t.NamedTuple):
    """A queue: its jobs as (priority, delay in ms), how many of them run, its limits, its hold."""

    jobs: list[tuple[int, int]]
    running: int
    is_paused: bool
    concurrency: int
    global_concurrency: int | None
    limiter: int | None
    global_limit: int | None
    starts: int
    held_for: int | None


states = st.builds(
    State,
    jobs=st.lists(st.tuples(st.sampled_from([0, 0, 1, 2]), st.sampled_from([0, 0, 0, 1, HOUR])), max_size=5),
    running=st.integers(0, 2),
    is_paused=st.sampled_from([False, False, False, True]),
    concurrency=st.integers(1, 3),
    global_concurrency=st.sampled_from([None, None, 1, 2]),
    limiter=st.sampled_from([None, None, 1, 2]),
    global_limit=st.sampled_from([None, None, 2]),
    starts=st.sampled_from([0, 0, 1, 2, UNLIMITED]),
    held_for=st.sampled_from([None, None, None, -1000, HOUR]),
)


class OneWorker:
    """A registry with a worker for every queue."""

    def __init__(self, options: RegisteredOptions) -> None:
        self._registration = Registration(
            url="https://app.example", options=options, secret_ids=["01234567"], fingerprint="f"
        )

    def get(self, queue: str) -> Registration:
        return self._registration


@given(state=states)
@settings(one_service, max_examples=60)
async def test_why_is_empty_for_exactly_the_job_that_would_start(engine: Engine, state: State) -> None:
    queue = f"q{time.monotonic_ns()}"
    hub = await engine.start_hub()
    scripts = QueueScripts(hub.scripts, queue, engine.prefix)
    limiter = {"max": state.limiter, "duration": HOUR} if state.limiter else None
    options = RunnerOptions(concurrency=state.concurrency, limiter=limiter)
    for number in range(state.running):
        await engine.add(queue=queue, jobId=f"running-{number}")
        await Gate(scripts).fetch(f"token-{number}", RunnerOptions().for_scripts())
    now = round(time.time() * 1000)
    ids: list[str] = []
    for number, (priority, delay) in enumerate(state.jobs):
        ids.append(f"job-{number}")
        opts: dict[str, t.Any] = {"jobId": ids[-1], "priority": priority, "delay": delay, "timestamp": now - 5000}
        await engine.add(queue=queue, **(opts if delay != HOUR else {**opts, "timestamp": now}))
    if state.global_concurrency:
        await scripts.execute("HSET", "meta", "concurrency", state.global_concurrency)
    await apply_worker_concurrency(scripts, state.concurrency)
    if state.global_limit:
        await scripts.execute("HSET", "meta", "max", state.global_limit, "duration", HOUR)
        options.global_rate_limit = {"max": state.global_limit, "duration": HOUR}
    if state.starts:
        await scripts.execute("SET", "limiter", state.starts, "PX", HOUR)
    if state.held_for is not None:
        until = now + state.held_for
        fields = (
            "kind",
            "breaker",
            "since",
            now,
            "until",
            until,
            "untilOthers",
            until,
            "count",
            1,
            "detail",
            "502",
        )
        await engine.redis.execute("HSET", scripts.own_key("hold"), *fields)
    if state.is_paused:
        await engine.queues.pause(queue)

    registry: t.Any = OneWorker(RegisteredOptions.model_validate({"limiter": limiter} if limiter else {}))
    nothing = NodeWorkers(engine.redis, engine.prefix)
    why = Why(hub, engine.jobs, registry, nothing, ProjectQuota(engine.redis, engine.jobs, QuotaLimits(), _none))
    free = {job for job in ids if not (await why.ask(queue, job)).causes}
    gate = Gate(scripts)
    gate.look_again()
    found = await gate.fetch("the token", options.for_scripts())
    await engine.stop_hub(hub, grace=0)
    assert free == ({found.job_id} if found.fields is not None else set())


async def _none() -> list[str]:
    return []
