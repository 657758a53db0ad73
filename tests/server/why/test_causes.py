"""Each cause is injected into a real service; why names it and its remedy, and after the remedy the job runs."""

from __future__ import annotations

import typing as t

import pytest

from tests.support.injections import INJECTIONS, QUEUE, Stage, inject

pytestmark = pytest.mark.anyio


@pytest.mark.parametrize("code", INJECTIONS)
async def test_why_names_the_cause_and_the_job_runs_after_its_remedy(stage: Stage, code: str) -> None:
    injection = INJECTIONS[code]
    job = await inject(stage, code)
    causes = {cause["code"]: cause for cause in await stage.why(job)}
    assert causes.keys() == {code, *injection.others}
    assert injection.sentence in causes[code]["sentence"]
    assert causes[code]["remedy"]["command"] == (injection.command and injection.command.replace("JOB", job))
    assert causes[code]["remedy"]["text"]
    await injection.end(stage, job)
    await stage.until(job, "completed")


async def test_nothing_keeps_a_queue_from_running_that_runs(stage: Stage) -> None:
    await stage.register()
    assert await stage.why() == []


async def test_three_causes_of_a_queue_come_in_the_order_in_which_they_must_end(stage: Stage) -> None:
    job = await stage.add(delay=3_600_000)
    await stage.call("POST", f"queues/{QUEUE}/pause")
    await stage.hold("throttled")
    assert [cause["code"] for cause in await stage.why(job)] == [
        "paused",
        "no_worker",
        "held_throttled",
        "delayed",
    ]


async def test_a_limit_a_full_worker_and_the_jobs_ahead_are_named_together(stage: Stage) -> None:
    job = await inject(stage, "behind")
    await stage.call("PUT", f"queues/{QUEUE}/rate-limited", {"duration": 60_000})
    assert [cause["code"] for cause in await stage.why(job)] == ["throttled", "worker_concurrency", "behind"]


async def test_times_of_a_hold_are_those_of_redis(stage: Stage) -> None:
    job = await inject(stage, "held_unreachable")
    answer: dict[str, t.Any] = await stage.call("GET", f"queues/{QUEUE}/jobs/{job}/why")
    [cause] = answer["causes"]
    assert 0 <= answer["at"] - cause["since"] < 30_000
    assert 0 < cause["until"] - answer["at"] <= 60_000
