"""Queues as a whole through the REST API: count, pause, empty, limit, who keeps whom out."""

from __future__ import annotations

import asyncio
import typing as t

import httpx
import pytest

from nextmq_server.projects.projects import Project
from nextmq_server.service import Service
from tests.server.conftest import App, WaitUntil
from tests.support.api import COUNTS, JOBS, WORKER, refusal, registration, send

pytestmark = pytest.mark.anyio

QUEUE = "/v1/queues/emails"
EMPTY = {
    "waiting": 0,
    "active": 0,
    "delayed": 0,
    "prioritized": 0,
    "waiting-children": 0,
    "completed": 0,
    "failed": 0,
    "paused": 0,
}


async def add(api: httpx.AsyncClient, count: int = 1, **opts: t.Any) -> list[str]:
    jobs = [{"name": "welcome", "opts": opts} for _ in range(count)]
    answer = await api.post(f"{JOBS}/bulk", json={"jobs": jobs})
    return [job["id"] for job in answer.json()["jobs"]]


async def counts(api: httpx.AsyncClient) -> dict[str, int]:
    numbers: dict[str, int] = (await api.get(COUNTS)).json()
    return {state: number for state, number in numbers.items() if number}


async def ids(api: httpx.AsyncClient, query: str) -> list[str]:
    return [job["id"] for job in (await api.get(f"{JOBS}?{query}")).json()["jobs"]]


async def finish(api: httpx.AsyncClient, app: App, wait_until: WaitUntil, count: int, state: str) -> None:
    """Have `count` jobs of the queue end in `state`."""
    if state == "failed":
        app.outcome = {"outcome": "failed", "error": {"name": "Error", "message": "boom", "stack": ""}}
    await send(api, "PUT", WORKER, app.registration())
    await add(api, count)

    async def have_ended() -> bool:
        return (await counts(api)).get(state) == count

    await wait_until(have_ended)


async def test_a_queue_that_nobody_used_is_an_empty_one(api: httpx.AsyncClient) -> None:
    assert (await api.get(QUEUE)).json() == {
        "name": "emails",
        "isPaused": False,
        "counts": EMPTY,
        "concurrency": {"global": None, "worker": None},
        "rateLimit": None,
        "rateLimitTtl": 0,
        "hold": None,
        "worker": None,
        "state": "idle",
        "cause": None,
        "nearest": None,
        "oldestWaiting": None,
        "lastDelivery": None,
        "deadLettersOf": [],
    }


async def test_the_queues_are_those_with_jobs_and_those_with_a_worker(
    api: httpx.AsyncClient, project: Project
) -> None:
    await add(api)
    await send(api, "PUT", "/v1/queues/reports/worker", registration(project))
    assert [queue["name"] for queue in (await api.get("/v1/queues")).json()["queues"]] == ["emails", "reports"]


async def test_the_workers_of_the_project_are_listed(api: httpx.AsyncClient, project: Project) -> None:
    await send(api, "PUT", WORKER, registration(project))
    workers = (await api.get("/v1/workers")).json()["workers"]
    assert [(worker["queue"], worker["registration"]["fingerprint"]) for worker in workers] == [("emails", "f1")]


async def test_jobs_are_paged_newest_first(api: httpx.AsyncClient) -> None:
    await add(api, 5)
    assert await ids(api, "states=waiting&start=1&end=2") == ["4", "3"]


async def test_jobs_are_paged_oldest_first_where_asked(api: httpx.AsyncClient) -> None:
    await add(api, 5)
    assert await ids(api, "states=waiting&start=1&end=2&asc=true") == ["2", "3"]


async def test_jobs_of_several_states_are_listed_state_by_state(api: httpx.AsyncClient) -> None:
    await add(api, 1)
    await add(api, 1, delay=60_000)
    assert await ids(api, "states=delayed,waiting") == ["2", "1"]


async def test_a_waiting_job_of_a_paused_queue_waits(api: httpx.AsyncClient) -> None:
    await api.post(f"{QUEUE}/pause")
    await add(api)
    jobs = (await api.get(f"{JOBS}?states=waiting")).json()["jobs"]
    assert [job["state"] for job in jobs] == ["waiting"]


@pytest.mark.parametrize("query", ["states=nothing", "states=", "start=5&end=4", "start=0&end=1000", "start=-1"])
async def test_a_page_that_cannot_be_is_refused(api: httpx.AsyncClient, query: str) -> None:
    assert refusal(await api.get(f"{JOBS}?{query}")) == (422, "invalid_request")


async def test_a_paused_queue_starts_nothing_until_it_is_resumed(
    api: httpx.AsyncClient, app: App, wait_until: WaitUntil
) -> None:
    await api.post(f"{QUEUE}/pause")
    await send(api, "PUT", WORKER, app.registration())
    await add(api)
    paused = (await api.get(QUEUE)).json()["isPaused"]
    await send(api, "PUT", "/v1/queues/reports/worker", app.registration())
    await api.post("/v1/queues/reports/jobs", json={"name": "welcome"})
    await wait_until(lambda: app.deliveries)
    delivered = [delivery["queue"] for delivery in app.deliveries]
    await api.post(f"{QUEUE}/resume")
    await wait_until(lambda: len(app.deliveries) == 2)
    assert (paused, delivered, app.deliveries[1]["queue"]) == (True, ["reports"], "emails")


@pytest.mark.parametrize(("delayed", "left"), [(False, {"delayed": 1}), (True, {})])
async def test_draining_removes_what_waits(api: httpx.AsyncClient, delayed: bool, left: dict[str, int]) -> None:
    await add(api, 2)
    await add(api, 1, priority=1)
    await add(api, 1, delay=60_000)
    await api.post(f"{QUEUE}/drain", json={"delayed": delayed})
    assert await counts(api) == left


async def test_cleaning_removes_as_many_as_it_was_told(
    api: httpx.AsyncClient, app: App, wait_until: WaitUntil
) -> None:
    await finish(api, app, wait_until, 3, "completed")
    answer = await api.post(f"{QUEUE}/clean", json={"grace": 0, "limit": 2})
    assert (len(answer.json()["removed"]), await counts(api)) == (2, {"completed": 1})


async def test_cleaning_leaves_what_is_younger(api: httpx.AsyncClient, app: App, wait_until: WaitUntil) -> None:
    await finish(api, app, wait_until, 1, "completed")
    assert (await api.post(f"{QUEUE}/clean", json={"grace": 60_000})).json() == {"removed": []}


async def test_an_obliterated_queue_has_nothing_left(
    api: httpx.AsyncClient, service: Service, project: Project
) -> None:
    await add(api, 3)
    await add(api, 2, delay=60_000)
    await api.post(f"{QUEUE}/obliterate", json={})
    left = await service.jobs.scripts("emails").connection.execute("KEYS", f"{project.prefix}:*")
    assert (left, (await api.get("/v1/queues")).json()["queues"]) == ([], [])


async def test_a_queue_with_a_running_job_is_obliterated_by_force_only(
    api: httpx.AsyncClient, app: App, wait_until: WaitUntil
) -> None:
    app.gate.clear()
    await send(api, "PUT", WORKER, app.registration())
    await add(api)
    await wait_until(lambda: app.deliveries)
    refused = refusal(await api.post(f"{QUEUE}/obliterate", json={}))
    forced = await api.post(f"{QUEUE}/obliterate", json={"force": True})
    app.gate.set()
    assert (refused, forced.status_code, await counts(api)) == ((409, "wrong_state"), 200, {})


async def test_a_worker_goes_on_after_its_queue_was_obliterated(
    api: httpx.AsyncClient, app: App, wait_until: WaitUntil
) -> None:
    await finish(api, app, wait_until, 1, "completed")
    await api.post(f"{QUEUE}/obliterate", json={})
    await add(api)
    await wait_until(lambda: len(app.deliveries) == 2)
    assert app.deliveries[1]["queue"] == "emails"


@pytest.mark.parametrize("state", ["completed", "failed"])
async def test_finished_jobs_are_tried_again(
    api: httpx.AsyncClient, app: App, wait_until: WaitUntil, state: str
) -> None:
    await finish(api, app, wait_until, 3, state)
    await api.post(f"{QUEUE}/pause")
    await api.post(f"{QUEUE}/retry-jobs", json={"state": state})
    assert await counts(api) == {"waiting": 3}


async def test_jobs_that_ended_later_are_not_tried_again(
    api: httpx.AsyncClient, app: App, wait_until: WaitUntil
) -> None:
    await finish(api, app, wait_until, 1, "failed")
    await api.post(f"{QUEUE}/retry-jobs", json={"timestamp": 1})
    assert await counts(api) == {"failed": 1}


async def test_delayed_jobs_are_promoted(api: httpx.AsyncClient) -> None:
    await add(api, 3, delay=60_000)
    await api.post(f"{QUEUE}/promote-jobs")
    assert await counts(api) == {"waiting": 3}


async def test_jobs_are_counted_by_priority(api: httpx.AsyncClient) -> None:
    await add(api, 2)
    await add(api, 3, priority=5)
    answer = await api.get(f"{QUEUE}/counts-per-priority?priorities=0,5,7")
    assert answer.json() == {"counts": {"0": 2, "5": 3, "7": 0}}


@pytest.mark.parametrize("priorities", ["", "a", "1,", "-1", str(2**21), ",".join(map(str, range(101)))])
async def test_priorities_that_cannot_be_are_refused(api: httpx.AsyncClient, priorities: str) -> None:
    answer = await api.get(f"{QUEUE}/counts-per-priority", params={"priorities": priorities})
    assert refusal(answer) == (422, "invalid_request")


async def test_minutes_are_counted(api: httpx.AsyncClient, app: App, wait_until: WaitUntil) -> None:
    await finish(api, app, wait_until, 2, "completed")
    metrics = (await api.get(f"{QUEUE}/metrics/completed")).json()
    assert metrics["meta"]["count"] == 2


async def test_a_deduplication_id_names_its_job_until_it_is_freed(api: httpx.AsyncClient) -> None:
    [job_id] = await add(api, deduplication={"id": "a/b"})
    url = f"{QUEUE}/deduplication/a%2Fb"
    held = (await api.get(url)).json()
    freed = (await api.delete(url)).json()
    assert (held, freed, refusal(await api.get(url))) == (
        {"jobId": job_id},
        {"removed": True},
        (404, "not_found"),
    )


async def test_events_are_trimmed(api: httpx.AsyncClient, service: Service, project: Project) -> None:
    await add(api, 300)
    removed = (await api.post(f"{QUEUE}/trim-events", json={"maxLength": 10})).json()["removed"]
    left = await service.jobs.scripts("emails").connection.execute("XLEN", f"{project.prefix}:emails:events")
    assert (removed > 0, left < 600) == (True, True)


async def test_a_global_concurrency_is_kept_until_it_is_removed(api: httpx.AsyncClient) -> None:
    await api.put(f"{QUEUE}/concurrency", json={"concurrency": 3})
    kept = (await api.get(f"{QUEUE}/concurrency")).json()
    await api.delete(f"{QUEUE}/concurrency")
    assert (kept, (await api.get(f"{QUEUE}/concurrency")).json()) == ({"concurrency": 3}, {"concurrency": None})


@pytest.mark.parametrize(("wanted", "together"), [(2, 2), (9, 3)])
async def test_the_lower_of_the_two_concurrencies_holds(
    api: httpx.AsyncClient, app: App, wait_until: WaitUntil, wanted: int, together: int
) -> None:
    app.gate.clear()
    await api.put(f"{QUEUE}/concurrency", json={"concurrency": wanted})
    await send(api, "PUT", WORKER, app.registration(options={"concurrency": 3}))
    await add(api, 5)
    await wait_until(lambda: len(app.deliveries) == together)

    async def is_maxed() -> bool:
        return bool((await api.get(f"{QUEUE}/maxed")).json()["isMaxed"])

    await wait_until(is_maxed)
    active = (await counts(api))["active"]
    app.gate.set()
    assert active == together


async def test_a_global_concurrency_is_lifted_at_once(
    api: httpx.AsyncClient, app: App, wait_until: WaitUntil
) -> None:
    app.gate.clear()
    await api.put(f"{QUEUE}/concurrency", json={"concurrency": 1})
    await send(api, "PUT", WORKER, app.registration(options={"concurrency": 3}))
    await add(api, 3)
    await wait_until(lambda: app.deliveries)
    await api.delete(f"{QUEUE}/concurrency")
    await wait_until(lambda: len(app.deliveries) == 3)
    app.gate.set()
    assert len(app.deliveries) == 3


async def test_a_global_rate_limit_is_kept_until_it_is_removed(api: httpx.AsyncClient) -> None:
    await api.put(f"{QUEUE}/rate-limit", json={"max": 3, "duration": 60_000})
    kept = (await api.get(f"{QUEUE}/rate-limit")).json()
    await api.delete(f"{QUEUE}/rate-limit")
    assert (kept, (await api.get(f"{QUEUE}/rate-limit")).json()) == (
        {"rateLimit": {"max": 3, "duration": 60_000}},
        {"rateLimit": None},
    )


@pytest.mark.parametrize("options", [{}, {"limiter": {"max": 50, "duration": 10}}])
async def test_a_global_rate_limit_takes_the_place_of_the_workers_own(
    api: httpx.AsyncClient, app: App, wait_until: WaitUntil, options: dict[str, t.Any]
) -> None:
    await send(api, "PUT", WORKER, app.registration(options={"concurrency": 10, **options}))
    await api.put(f"{QUEUE}/rate-limit", json={"max": 2, "duration": 3_600_000})
    await add(api, 5)
    await wait_until(lambda: len(app.deliveries) == 2)

    async def rests() -> bool:
        return bool((await api.get(f"{QUEUE}/rate-limited?maxJobs=2")).json()["ttl"] > 3_000_000)

    await wait_until(rests)
    assert len(app.deliveries) == 2


async def test_jobs_start_again_when_the_rate_limit_is_lifted(
    api: httpx.AsyncClient, app: App, wait_until: WaitUntil
) -> None:
    await send(api, "PUT", WORKER, app.registration(options={"concurrency": 10}))
    await api.put(f"{QUEUE}/rate-limit", json={"max": 2, "duration": 3_600_000})
    await add(api, 5)
    await wait_until(lambda: len(app.deliveries) == 2)
    await api.delete(f"{QUEUE}/rate-limit")
    await api.delete(f"{QUEUE}/rate-limited")
    await wait_until(lambda: len(app.deliveries) == 5)
    assert len(app.deliveries) == 5


async def test_a_queue_rests_until_the_rest_is_ended(
    api: httpx.AsyncClient, app: App, wait_until: WaitUntil
) -> None:
    await api.put(f"{QUEUE}/rate-limited", json={"duration": 3_600_000})
    left = (await api.get(f"{QUEUE}/rate-limited")).json()["ttl"]
    await send(api, "PUT", WORKER, app.registration())
    await add(api)
    await asyncio.gather(*(api.get(QUEUE) for _ in range(20)))
    rested = not app.deliveries
    await api.delete(f"{QUEUE}/rate-limited")
    await wait_until(lambda: app.deliveries)
    assert (left > 3_500_000, rested) == (True, True)


LIMITS: dict[str, tuple[str, object]] = {
    "a concurrency of 0": ("concurrency", {"concurrency": 0}),
    "a concurrency that is no number": ("concurrency", {"concurrency": "3"}),
    "a limit of 0": ("rate-limit", {"max": 0, "duration": 1}),
    "a limit without a duration": ("rate-limit", {"max": 1}),
    "a rest of 0": ("rate-limited", {"duration": 0}),
    "a rest that is true": ("rate-limited", {"duration": True}),
}


@pytest.mark.parametrize("case", LIMITS)
async def test_a_limit_that_cannot_be_is_refused(api: httpx.AsyncClient, case: str) -> None:
    path, body = LIMITS[case]
    assert refusal(await api.put(f"{QUEUE}/{path}", json=body)) == (422, "invalid_request")
