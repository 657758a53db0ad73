"""GET /v1/failures: failed jobs and dead letters, grouped by what went wrong."""

from __future__ import annotations

import time
import typing as t

import httpx
import pytest

from nextmq_server.engine.queues.search import failures
from nextmq_server.projects.projects import Project
from nextmq_server.service import Service
from tests.support.api import WORKER, registration
from tests.support.redriving import LETTER, add_letter
from tests.support.searching import EPOCH, put

pytestmark = pytest.mark.anyio


async def look(api: httpx.AsyncClient, **params: t.Any) -> dict[str, t.Any]:
    return dict((await api.get("/v1/failures", params=params)).raise_for_status().json())


async def test_failures_of_one_cause_are_one_group(api: httpx.AsyncClient, service: Service) -> None:
    entry = '[{"deliveryId":"1","at":1,"status":%d,"ms":1,"outcome":"failed","detail":null}]'
    for i in range(8):
        log = {"nextmq:deliveries": entry % (500 + i)}
        await put(service.jobs, "failed", [i], score=i, failedReason=f"user {i} of 10.0.0.{i} is gone", **log)
    await put(service.jobs, "failed", ["other"], failedReason="no such file", score=100)
    await put(service.jobs, "failed", ["named"], name="report", failedReason="no such file", score=50)
    found = await look(api, queue="emails")
    assert [(one["name"], one["reason"], one["count"]) for one in found["groups"]] == [
        ("welcome", "no such file", 1),
        ("report", "no such file", 1),
        ("welcome", "user … of … is gone", 8),
    ]
    group = found["groups"][2]
    assert (group["first"], group["last"], group["lastStatus"]) == (EPOCH, EPOCH + 7, 507)
    assert group["sampleIds"] == ["7", "6", "5", "4", "3"]
    assert (found["lookedAt"], found["total"]) == (10, 10)
    assert [one["name"] for one in (await look(api, queue="emails", name="report"))["groups"]] == ["report"]


async def test_a_job_and_its_dead_letter_are_one_failure(
    api: httpx.AsyncClient, service: Service, project: Project
) -> None:
    body = registration(project, options={"deadLetter": "emails-dlq"})
    (await api.put(WORKER, json=body)).raise_for_status()
    await put(service.jobs, "failed", ["42"], failedReason=LETTER["reason"])
    await add_letter(api)
    await add_letter(api, {**LETTER, "id": "gone"})
    await add_letter(api, "no dead letter")
    [group] = (await look(api))["groups"]
    assert (group["queue"], group["count"], group["deadLetters"], set(group["sampleIds"])) == (
        "emails",
        2,
        2,
        {"42", "gone"},
    )


async def test_a_group_is_new_that_began_after_the_app_had_started(
    api: httpx.AsyncClient, service: Service, project: Project
) -> None:
    (await api.put(WORKER, json=registration(project, age=60_000))).raise_for_status()
    now = time.time() * 1000 - EPOCH
    await put(service.jobs, "failed", ["a"], failedReason="new", score=now)
    await put(service.jobs, "failed", ["b"], failedReason="old", score=now)
    await put(service.jobs, "failed", ["c"], failedReason="old", score=0)
    assert {one["reason"]: one["isNew"] for one in (await look(api))["groups"]} == {"new": True, "old": False}


async def test_only_the_newest_failures_are_looked_at(
    api: httpx.AsyncClient, service: Service, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(failures, "MAX_FAILED", 250)
    await put(service.jobs, "failed", range(300))
    found = await look(api, queue="emails")
    assert (found["groups"][0]["count"], found["lookedAt"], found["total"]) == (250, 250, 300)
