"""What the REST API changes of a job: retry, promote, data, delay, priority, logs, removal."""

from __future__ import annotations

import typing as t
from urllib.parse import quote

import httpx
import pytest

from tests.server.conftest import App, WaitUntil
from tests.support.api import JOBS, WORKER, refusal, send

pytestmark = pytest.mark.anyio


async def add(api: httpx.AsyncClient, **opts: t.Any) -> str:
    answer = await api.post(JOBS, json={"name": "welcome", "data": 1, "opts": opts})
    return str(answer.json()["id"])


async def job(api: httpx.AsyncClient, job_id: str) -> dict[str, t.Any]:
    found: dict[str, t.Any] = (await api.get(f"{JOBS}/{quote(job_id, safe='')}")).json()
    return found


CALLS: dict[str, tuple[str, str, object]] = {
    "retry": ("POST", "retry", {}),
    "promote": ("POST", "promote", None),
    "data": ("PUT", "data", {"data": 2}),
    "progress": ("PUT", "progress", {"progress": 2}),
    "delay": ("PUT", "delay", {"delay": 1}),
    "priority": ("PUT", "priority", {"priority": 1}),
    "add a log line": ("POST", "logs", {"row": "x"}),
    "read the log": ("GET", "logs", None),
    "clear the log": ("DELETE", "logs", None),
    "free the deduplication id": ("DELETE", "deduplication-key", None),
}


@pytest.mark.parametrize("call", CALLS)
@pytest.mark.parametrize("job_id", ["nobody", "meta", "a%2Fb", "1:lock"])
async def test_a_job_that_is_not_there_is_not_found(api: httpx.AsyncClient, call: str, job_id: str) -> None:
    await add(api)
    method, path, body = CALLS[call]
    answer = await api.request(method, f"{JOBS}/{job_id}/{path}", json=body)
    assert refusal(answer) == (404, "not_found")


@pytest.mark.parametrize("call", CALLS)
async def test_a_delivery_that_does_not_own_the_job_is_stale(api: httpx.AsyncClient, call: str) -> None:
    method, path, body = CALLS[call]
    headers = {"x-nextmq-delivery": "dlv_old"}
    answer = await api.request(method, f"{JOBS}/{await add(api)}/{path}", json=body, headers=headers)
    assert refusal(answer) == (409, "stale_delivery")


@pytest.mark.parametrize("call", ["retry", "promote", "delay"])
async def test_a_call_that_needs_another_state_says_so(api: httpx.AsyncClient, call: str) -> None:
    method, path, body = CALLS[call]
    answer = await api.request(method, f"{JOBS}/{await add(api)}/{path}", json=body)
    assert refusal(answer) == (409, "wrong_state")


async def test_a_job_with_a_slash_in_its_id_is_one_segment(api: httpx.AsyncClient) -> None:
    await add(api, jobId="a/promote", delay=60_000)
    await api.post(f"{JOBS}/a%2Fpromote/promote")
    assert (await job(api, "a/promote"))["state"] == "waiting"


async def test_promote_lets_a_delayed_job_wait(api: httpx.AsyncClient) -> None:
    job_id = await add(api, delay=60_000)
    answer = await api.post(f"{JOBS}/{job_id}/promote")
    assert (answer.status_code, (await job(api, job_id))["state"]) == (200, "waiting")


async def test_data_is_replaced(api: httpx.AsyncClient) -> None:
    job_id = await add(api)
    await api.put(f"{JOBS}/{job_id}/data", json={"data": {"to": ["b"]}})
    assert (await job(api, job_id))["data"] == {"to": ["b"]}


@pytest.mark.parametrize("member", ["data", "progress"])
async def test_what_is_over_1_mib_is_refused(api: httpx.AsyncClient, member: str) -> None:
    answer = await api.put(f"{JOBS}/{await add(api)}/{member}", json={member: "x" * 1024 * 1024})
    assert refusal(answer) == (422, "invalid_request")


async def test_a_delay_is_changed(api: httpx.AsyncClient) -> None:
    job_id = await add(api, delay=60_000)
    await api.put(f"{JOBS}/{job_id}/delay", json={"delay": 120_000})
    assert (await job(api, job_id))["delay"] == 120_000


async def test_a_priority_is_changed(api: httpx.AsyncClient) -> None:
    job_id = await add(api)
    await api.put(f"{JOBS}/{job_id}/priority", json={"priority": 7})
    shown = await job(api, job_id)
    assert (shown["state"], shown["priority"]) == ("prioritized", 7)


async def test_retry_lets_a_failed_job_wait_again(api: httpx.AsyncClient, app: App, wait_until: WaitUntil) -> None:
    app.outcome = {"outcome": "failed", "error": {"name": "Error", "message": "boom", "stack": ""}}
    await send(api, "PUT", WORKER, app.registration())
    job_id = await add(api)

    async def has_failed() -> bool:
        return bool((await job(api, job_id))["state"] == "failed")

    await wait_until(has_failed)
    await api.post("/v1/queues/emails/pause")
    await api.post(f"{JOBS}/{job_id}/retry", json={"resetAttemptsMade": True})
    shown = await job(api, job_id)
    assert (shown["state"], shown["failedReason"], shown["attemptsMade"]) == ("waiting", None, 0)


@pytest.mark.parametrize("data", [{"to": "b"}, None])
async def test_retry_replaces_the_data_in_the_same_step(
    api: httpx.AsyncClient, app: App, wait_until: WaitUntil, data: object
) -> None:
    app.outcome = {"outcome": "failed", "error": {"name": "Error", "message": "boom", "stack": ""}}
    await send(api, "PUT", WORKER, app.registration())
    job_id = await add(api)

    async def is_in(state: str) -> bool:
        return bool((await job(api, job_id))["state"] == state)

    await wait_until(lambda: is_in("failed"))
    app.outcome = {"outcome": "completed", "returnValue": "sent"}
    await api.post(f"{JOBS}/{job_id}/retry", json={"data": data})
    await wait_until(lambda: is_in("completed"))
    assert [delivery["job"]["data"] for delivery in app.deliveries] == [1, data]


async def test_a_retry_that_is_refused_leaves_the_data(api: httpx.AsyncClient) -> None:
    job_id = await add(api)
    answer = await api.post(f"{JOBS}/{job_id}/retry", json={"data": 2})
    assert (refusal(answer), (await job(api, job_id))["data"]) == ((409, "wrong_state"), 1)


async def test_log_lines_are_kept_in_their_order(api: httpx.AsyncClient) -> None:
    url = f"{JOBS}/{await add(api)}/logs"
    for row in ("a", "b", "c"):
        await api.post(url, json={"row": row})
    assert (await api.get(url)).json() == {"logs": ["a", "b", "c"], "count": 3}


@pytest.mark.parametrize(
    ("sent", "kept"),
    [
        ('"caf\\udce9"', "caf?"),
        ("5", "5"),
        ("null", "None"),
        ("[1]", "[1]"),
        (f'"{"x" * 66_560}"', "x" * 65_535 + "…"),
    ],
    ids=["a lone surrogate", "a number", "null", "a list", "65 KiB"],
)
async def test_whatever_is_sent_as_a_log_line_is_kept_as_text(
    api: httpx.AsyncClient, sent: str, kept: str
) -> None:
    url = f"{JOBS}/{await add(api)}/logs"
    answer = await api.post(url, content=f'{{"row":{sent}}}', headers={"content-type": "application/json"})
    assert (answer.status_code, (await api.get(url)).json()["logs"]) == (200, [kept])


@pytest.mark.parametrize(
    ("query", "rows"),
    [
        ("start=1", ["b", "c"]),
        ("start=0&end=0", ["a"]),
        ("asc=false", ["c", "b", "a"]),
        ("asc=false&start=1&end=1", ["b"]),
        ("start=9", []),
    ],
)
async def test_log_lines_are_paged(api: httpx.AsyncClient, query: str, rows: list[str]) -> None:
    url = f"{JOBS}/{await add(api)}/logs"
    for row in ("a", "b", "c"):
        await api.post(url, json={"row": row})
    assert (await api.get(f"{url}?{query}")).json() == {"logs": rows, "count": 3}


async def test_the_last_log_lines_stay(api: httpx.AsyncClient) -> None:
    url = f"{JOBS}/{await add(api)}/logs"
    kept = [(await api.post(url, json={"row": row, "keepLogs": 2})).json()["count"] for row in "abc"]
    assert (kept, (await api.get(url)).json()["logs"]) == ([1, 2, 2], ["b", "c"])


@pytest.mark.parametrize(("keep", "left"), [("", []), ("?keep=1", ["c"])])
async def test_log_lines_are_cleared(api: httpx.AsyncClient, keep: str, left: list[str]) -> None:
    url = f"{JOBS}/{await add(api)}/logs"
    for row in ("a", "b", "c"):
        await api.post(url, json={"row": row})
    await api.delete(f"{url}{keep}")
    assert (await api.get(url)).json()["logs"] == left


async def test_a_removed_job_is_gone(api: httpx.AsyncClient) -> None:
    job_id = await add(api)
    answer = await api.delete(f"{JOBS}/{job_id}")
    assert (answer.status_code, refusal(await api.get(f"{JOBS}/{job_id}"))) == (200, (404, "not_found"))


async def test_a_job_that_runs_is_not_removed(api: httpx.AsyncClient, app: App, wait_until: WaitUntil) -> None:
    app.gate.clear()
    await send(api, "PUT", WORKER, app.registration())
    job_id = await add(api)
    await wait_until(lambda: app.deliveries)
    answer = await api.delete(f"{JOBS}/{job_id}")
    app.gate.set()
    assert refusal(answer) == (409, "job_locked")


async def test_a_deduplication_id_is_freed_by_its_job(api: httpx.AsyncClient) -> None:
    job_id = await add(api, deduplication={"id": "d"})
    answer = await api.delete(f"{JOBS}/{job_id}/deduplication-key")
    assert (answer.json(), await add(api, deduplication={"id": "d"}) != job_id) == ({"removed": True}, True)


async def test_a_job_without_a_deduplication_id_has_none_to_free(api: httpx.AsyncClient) -> None:
    answer = await api.delete(f"{JOBS}/{await add(api)}/deduplication-key")
    assert answer.json() == {"removed": False}
