"""PUT …/jobs/{id}/progress: a running job's own call, and an operator's (protocol section 5)."""

from __future__ import annotations

import asyncio
import json
import typing as t

import httpx
import pytest
from hypothesis import given

from tests.support.api import JOBS, WORKER, any_json, one_service, problem_paths, refusal, send

if t.TYPE_CHECKING:
    from ..conftest import App, WaitUntil

pytestmark = pytest.mark.anyio

STALE = (409, "stale_delivery")


class Running(t.NamedTuple):
    """A job whose delivery the app holds open."""

    job_id: str
    delivery_id: str


async def stored(api: httpx.AsyncClient, job_id: str) -> t.Any:
    """Return the job's progress."""
    return (await api.get(f"{JOBS}/{job_id}")).json()["progress"]


async def report(
    api: httpx.AsyncClient, job_id: str, progress: t.Any, delivery_id: str | None = None
) -> httpx.Response:
    """Report progress, as a processor of the delivery would."""
    headers = {} if delivery_id is None else {"x-nextmq-delivery": delivery_id}
    return await api.put(f"{JOBS}/{job_id}/progress", json={"progress": progress}, headers=headers)


async def add(api: httpx.AsyncClient, **opts: t.Any) -> str:
    answer = await api.post(JOBS, json={"name": "welcome", "opts": opts})
    return str(answer.raise_for_status().json()["id"])


@pytest.fixture
async def running(api: httpx.AsyncClient, app: App, wait_until: WaitUntil) -> t.AsyncIterator[Running]:
    """Start a job whose app has the delivery and answers only once its gate is open."""
    app.gate.clear()
    await api.put(WORKER, json=app.registration())
    job_id = await add(api, attempts=5)
    await wait_until(lambda: app.deliveries)
    yield Running(job_id, app.deliveries[0]["deliveryId"])
    app.gate.set()


async def until_state(api: httpx.AsyncClient, wait_until: WaitUntil, job_id: str, state: str) -> None:
    async def is_there() -> bool:
        return bool((await api.get(f"{JOBS}/{job_id}")).json()["state"] == state)

    await wait_until(is_there)


async def test_the_delivery_that_owns_the_job_stores_progress(api: httpx.AsyncClient, running: Running) -> None:
    await report(api, running.job_id, {"done": 5}, running.delivery_id)
    assert await stored(api, running.job_id) == {"done": 5}


async def test_progress_is_answered_with_an_empty_object(api: httpx.AsyncClient, running: Running) -> None:
    answer = await report(api, running.job_id, 5, running.delivery_id)
    assert (answer.status_code, answer.json()) == (200, {})


@pytest.mark.parametrize("delivery_id", ["dlv_of_nobody", "", "x" * 64])
async def test_a_delivery_that_never_owned_the_job_is_stale(
    api: httpx.AsyncClient, running: Running, delivery_id: str
) -> None:
    assert refusal(await report(api, running.job_id, 5, delivery_id)) == STALE


async def test_a_stale_delivery_stores_nothing(api: httpx.AsyncClient, running: Running) -> None:
    await report(api, running.job_id, 5, running.delivery_id)
    await report(api, running.job_id, 6, "dlv_of_nobody")
    assert await stored(api, running.job_id) == 5


async def test_an_older_delivery_of_the_job_is_stale(
    api: httpx.AsyncClient, app: App, running: Running, wait_until: WaitUntil
) -> None:
    app.outcome = {"outcome": "failed", "error": {"name": "Error", "message": "again"}}
    first, app.gate = app.gate, asyncio.Event()
    first.set()
    await wait_until(lambda: len(app.deliveries) == 2)
    assert refusal(await report(api, running.job_id, 5, running.delivery_id)) == STALE


async def test_the_last_delivery_of_a_finished_job_is_stale(
    api: httpx.AsyncClient, app: App, running: Running, wait_until: WaitUntil
) -> None:
    app.gate.set()
    await until_state(api, wait_until, running.job_id, "completed")
    assert refusal(await report(api, running.job_id, 5, running.delivery_id)) == STALE


async def test_the_last_delivery_of_a_job_that_waits_again_is_stale(
    api: httpx.AsyncClient, app: App, running: Running, wait_until: WaitUntil
) -> None:
    app.outcome = {"outcome": "delayed", "timestamp": 2_099_999_999_999}
    app.gate.set()
    await until_state(api, wait_until, running.job_id, "delayed")
    assert refusal(await report(api, running.job_id, 5, running.delivery_id)) == STALE


async def test_a_delivery_is_stale_for_another_job(api: httpx.AsyncClient, running: Running) -> None:
    assert refusal(await report(api, await add(api), 5, running.delivery_id)) == STALE


async def test_a_delivery_is_stale_for_a_job_of_the_same_id_in_another_queue(
    api: httpx.AsyncClient, app: App, running: Running, wait_until: WaitUntil
) -> None:
    await api.put("/v1/queues/invoices/worker", json=app.registration())
    await api.post("/v1/queues/invoices/jobs", json={"name": "welcome"})
    await wait_until(lambda: len(app.deliveries) == 2)
    assert refusal(await report(api, running.job_id, 5, app.deliveries[1]["deliveryId"])) == STALE


async def test_without_a_delivery_progress_of_a_running_job_is_stored(
    api: httpx.AsyncClient, running: Running
) -> None:
    await report(api, running.job_id, 5)
    assert await stored(api, running.job_id) == 5


async def test_without_a_delivery_progress_of_a_waiting_job_is_stored(api: httpx.AsyncClient) -> None:
    job_id = await add(api)
    await report(api, job_id, 5)
    assert await stored(api, job_id) == 5


async def test_a_job_whose_id_holds_a_slash_takes_progress(api: httpx.AsyncClient) -> None:
    await add(api, jobId="tenant/1")
    await report(api, "tenant%2F1", 5)
    assert await stored(api, "tenant%2F1") == 5


@pytest.mark.parametrize("job_id", ["nobody", "2", "meta", "wait", "id", "1:lock"])
async def test_what_is_no_job_takes_no_progress(api: httpx.AsyncClient, running: Running, job_id: str) -> None:
    assert refusal(await report(api, job_id, 5)) == (404, "not_found")


async def test_progress_is_0_before_any_was_reported(api: httpx.AsyncClient) -> None:
    assert await stored(api, await add(api)) == 0


@pytest.mark.parametrize("progress", [0, 100, 0.5, -1, True, False, None, "", "half", [], {}, {"done": 0}])
async def test_progress_is_any_json(api: httpx.AsyncClient, progress: object) -> None:
    job_id = await add(api)
    await report(api, job_id, "earlier")
    await report(api, job_id, progress)
    assert json.dumps(await stored(api, job_id)) == json.dumps(progress)


@pytest.mark.parametrize(
    ("body", "path"), [({}, "progress"), ({"progress": 1, "more": 2}, "more"), ([], ""), (5, "")]
)
async def test_a_body_that_is_no_progress_is_refused(api: httpx.AsyncClient, body: object, path: str) -> None:
    answer = await api.put(f"{JOBS}/{await add(api)}/progress", json=body)
    assert problem_paths(answer) == {path}


async def test_a_delivery_id_that_is_too_long_is_refused(api: httpx.AsyncClient) -> None:
    assert problem_paths(await report(api, await add(api), 5, "x" * 65)) == {"x-nextmq-delivery"}


@one_service
@given(progress=any_json)
async def test_whatever_the_progress_is_neither_storing_nor_reading_it_is_a_5xx(
    api: httpx.AsyncClient, progress: object
) -> None:
    job_id = await add(api, jobId="the-one")
    answers = [await send(api, "PUT", f"{JOBS}/{job_id}/progress", {"progress": progress})]
    answers.append(await api.get(f"{JOBS}/{job_id}"))
    assert [answer.status_code for answer in answers if answer.status_code >= 500] == []
