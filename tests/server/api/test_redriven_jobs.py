"""What a dead letter becomes when it is redriven: the job that failed, as far as it can be that again."""

from __future__ import annotations

import typing as t

import httpx
import pytest

from nextmq_handler.rules.job_ids import QUEUE_KEYS
from tests.support.api import JOBS
from tests.support.redriving import LETTER, add_letter, jobs, only_job, redrive

pytestmark = pytest.mark.anyio

KEPT: dict[str, t.Any] = {
    "attempts": 3,
    "backoff": {"type": "exponential", "delay": 1000},
    "keepLogs": 5,
    "lifo": True,
    "priority": 7,
    "removeOnComplete": {"age": 60},
    "removeOnFail": 5,
    "sizeLimit": 9,
    "stackTraceLimit": 2,
    "telemetry": {"metadata": '{"traceparent":"x"}'},
}
DROPPED: dict[str, t.Any] = {
    "deduplication": {"id": "a"},
    "delay": 3_600_000,
    "failParentOnFailure": True,
    "jobId": "repeat:a:1",
    "parent": {"id": "1", "queue": "orders"},
    "prevMillis": 1_700_000_000_000,
    "repeat": {"every": 1000},
    "timestamp": 5,
}


async def test_a_redriven_job_is_the_job_that_failed(api: httpx.AsyncClient) -> None:
    await add_letter(api)
    await redrive(api)
    job = await only_job(api)
    assert (job["name"], job["data"], job["state"]) == ("welcome", LETTER["data"], "waiting")


async def test_a_redriven_job_has_burnt_no_attempt(api: httpx.AsyncClient) -> None:
    await add_letter(api, {**LETTER, "opts": {"attempts": 3}})
    await redrive(api)
    job = await only_job(api)
    assert (job["attemptsMade"], job["attemptsStarted"], job["opts"]["attempts"]) == (0, 0, 3)


@pytest.mark.parametrize("option", KEPT)
async def test_a_redriven_job_keeps_its_options(api: httpx.AsyncClient, option: str) -> None:
    await add_letter(api, {**LETTER, "opts": {option: KEPT[option]}})
    await redrive(api)
    assert (await only_job(api))["opts"][option] == KEPT[option]


async def test_a_redriven_job_keeps_its_priority(api: httpx.AsyncClient) -> None:
    await add_letter(api, {**LETTER, "opts": {"priority": 7}})
    await redrive(api)
    job = await only_job(api)
    assert (job["state"], job["priority"]) == ("prioritized", 7)


@pytest.mark.parametrize("option", DROPPED)
async def test_what_bound_a_job_to_its_first_run_is_not_kept(api: httpx.AsyncClient, option: str) -> None:
    await add_letter(api, {**LETTER, "opts": {option: DROPPED[option]}})
    await redrive(api)
    job = await only_job(api)
    assert (job["state"], job["parent"], job["opts"].get(option) or None) == ("waiting", None, None)


async def test_a_deduplication_id_that_another_job_holds_loses_no_letter(api: httpx.AsyncClient) -> None:
    opts = {"deduplication": {"id": "a"}}
    await api.post(JOBS, json={"name": "welcome", "opts": opts})
    await add_letter(api, {**LETTER, "opts": opts})
    await redrive(api)
    assert len(await jobs(api)) == 2


@pytest.mark.parametrize("job_id", ["order-1", "a/b?c#d%25", "ä 😀", "x" * 1000])
async def test_an_id_of_its_own_that_is_free_is_kept(api: httpx.AsyncClient, job_id: str) -> None:
    await add_letter(api, {**LETTER, "id": job_id})
    await redrive(api)
    assert (await only_job(api))["id"] == job_id


async def test_an_id_of_its_own_that_is_taken_is_another_one(api: httpx.AsyncClient) -> None:
    await api.post(JOBS, json={"name": "welcome", "opts": {"jobId": "order-1"}})
    await add_letter(api, {**LETTER, "id": "order-1"})
    await redrive(api)
    assert [job["id"] for job in await jobs(api)] == ["order-1", "2"]


@pytest.mark.parametrize("job_id", ["42", "", "repeat:a:1", *sorted(QUEUE_KEYS)])
async def test_an_id_that_nobody_may_choose_is_another_one(api: httpx.AsyncClient, job_id: str) -> None:
    await add_letter(api, {**LETTER, "id": job_id})
    await redrive(api)
    assert (await only_job(api))["id"] == "1"
