"""The deliveries that are kept with a job: one for each that ended, whatever came of it."""

from __future__ import annotations

import asyncio
import json
import time
import typing as t

import httpx
import pytest
from aiohttp import web
from hypothesis import given
from hypothesis import strategies as st

from nextmq_handler.rules.delivery_log import DeliveryEntry, delivery_entry
from nextmq_server.dispatch.health import Health
from nextmq_server.engine.queues.delivery_log import appended, deliveries
from nextmq_server.engine.scripts.tokens import owner_of
from nextmq_server.service import Service
from nextmq_server.workers.registration import Registration
from tests.support.api import JOBS

if t.TYPE_CHECKING:
    from ...conftest import App, Serve, WaitUntil


def entry(at: int = 1, *, outcome: str = "completed", detail: str | None = None) -> DeliveryEntry:
    return delivery_entry(
        "dlv_1", at=at, status=200, ms=5, outcome=outcome, attempt=1, is_signed=True, detail=detail
    )


ONE = entry()


def test_the_last_20_are_kept() -> None:
    text = None
    for number in range(25):
        text = appended(text, entry(number))
    assert [delivery["at"] for delivery in deliveries(text)] == list(range(5, 25))


def test_a_long_reason_is_cut_to_one_line() -> None:
    kept = entry(outcome="failed", detail="no\nroute " * 100)
    assert kept["detail"] == ("no route " * 100)[:299] + "…"


@given(text=st.none() | st.text() | st.recursive(st.none() | st.integers() | st.text(), st.lists).map(json.dumps))
def test_what_others_wrote_there_is_no_delivery(text: str | None) -> None:
    assert deliveries(appended(text, ONE)) == [ONE]


OF_01 = {"deliveryId": "dlv_0", "at": 0, "status": None, "ms": 5, "outcome": "held", "detail": "no route"}


def test_what_version_01_wrote_is_read() -> None:
    assert deliveries(appended(json.dumps([OF_01]), ONE)) == [OF_01, ONE]


def test_version_01_reads_each_delivery_of_this_version() -> None:
    written = json.loads(appended(appended(None, ONE), entry(2)))
    read = [item for item in written if item.keys() == OF_01.keys()]  # all that it takes for a delivery
    assert [kept["at"] for kept in read] == [1, 2]


def without_times(job: dict[str, t.Any]) -> list[tuple[t.Any, ...]]:
    return [(kept["status"], kept["outcome"], kept["detail"]) for kept in job["deliveries"]]


async def until_seen(api: httpx.AsyncClient, job_id: str, count: int, wait_until: WaitUntil) -> dict[str, t.Any]:
    """Return the job, once it shows that many deliveries."""

    async def is_seen() -> bool:
        return len((await api.get(f"{JOBS}/{job_id}")).json()["deliveries"]) >= count

    await wait_until(is_seen)
    return t.cast("dict[str, t.Any]", (await api.get(f"{JOBS}/{job_id}")).json())


OUTCOMES: dict[str, tuple[dict[str, t.Any], tuple[t.Any, ...]]] = {
    "completed": ({"outcome": "completed", "returnValue": 1}, (200, "completed", None)),
    "failed, out of attempts": (
        {"outcome": "failed", "unrecoverable": True, "error": {"name": "ValueError", "message": "no address"}},
        (200, "failed", "ValueError: no address"),
    ),
    "failed, again later": (
        {"outcome": "failed", "error": {"name": "ValueError", "message": "no address"}},
        (200, "failed", "ValueError: no address"),
    ),
    "rate-limited": ({"outcome": "rateLimited", "delay": 3_600_000}, (200, "rateLimited", None)),
    "delayed": ({"outcome": "delayed", "timestamp": 2_000_000_000_000}, (200, "delayed", None)),
}


@pytest.mark.anyio
@pytest.mark.parametrize(("outcome", "expected"), OUTCOMES.values(), ids=OUTCOMES)
async def test_each_outcome_leaves_a_delivery(
    api: httpx.AsyncClient,
    service: Service,
    app: App,
    wait_until: WaitUntil,
    outcome: dict[str, t.Any],
    expected: tuple[t.Any, ...],
) -> None:
    app.outcome = outcome
    await service.workers.register("emails", Registration.model_validate(app.registration()), replace=None)
    opts = {"attempts": 2, "backoff": 3_600_000}
    job_id = (await api.post(JOBS, json={"name": "welcome", "opts": opts})).json()["id"]
    assert without_times(await until_seen(api, job_id, 1, wait_until)) == [expected]


@pytest.mark.anyio
async def test_an_attempt_that_is_made_again_at_once_leaves_a_delivery_too(
    api: httpx.AsyncClient, service: Service, app: App, wait_until: WaitUntil
) -> None:
    app.outcome = {"outcome": "failed", "error": {"name": "ValueError", "message": "no address"}}
    await service.workers.register("emails", Registration.model_validate(app.registration()), replace=None)
    job_id = (await api.post(JOBS, json={"name": "welcome", "opts": {"attempts": 3}})).json()["id"]
    job = await until_seen(api, job_id, 3, wait_until)
    assert without_times(job) == [(200, "failed", "ValueError: no address")] * 3


@pytest.mark.anyio
async def test_a_parent_that_waits_for_its_children_keeps_its_delivery(
    api: httpx.AsyncClient, service: Service, app: App, wait_until: WaitUntil
) -> None:
    app.outcome = {"outcome": "waitingChildren"}
    await service.workers.register("emails", Registration.model_validate(app.registration()), replace=None)
    app.gate.clear()
    job_id = (await api.post(JOBS, json={"name": "welcome"})).json()["id"]
    await wait_until(lambda: app.deliveries)
    parent = {"id": job_id, "queue": "emails"}
    await api.post("/v1/queues/reports/jobs", json={"name": "child", "opts": {"parent": parent}})
    app.gate.set()
    job = await until_seen(api, job_id, 1, wait_until)
    assert without_times(job) == [(200, "waitingChildren", None)]


@pytest.mark.anyio
async def test_a_delivery_that_did_not_run_says_why_the_job_is_held(
    api: httpx.AsyncClient, service: Service, app: App, serve: Serve, wait_until: WaitUntil
) -> None:
    async def answer(request: web.Request) -> web.Response:
        return web.Response(status=403)

    url = await serve(answer) + "/queues/emails"
    await service.workers.register("emails", Registration.model_validate(app.registration(url=url)), replace=None)
    job_id = (await api.post(JOBS, json={"name": "welcome"})).json()["id"]
    job = await until_seen(api, job_id, 1, wait_until)
    assert without_times(job)[0] == (403, "held", "the app answered 403")


ANSWERS: dict[str, tuple[int, bytes, dict[str, t.Any]]] = {
    "no outcome": (
        200,
        b"<h1>Welcome</h1>\n" + b"x" * 1000,
        {"usedAttempt": True, "isSigned": False, "excerpt": "<h1>Welcome</h1> " + "x" * 282 + "…"},
    ),
    "a refusal": (401, b"who are you?", {"usedAttempt": False, "isSigned": False, "excerpt": "who are you?"}),
    "no body": (500, b"", {"usedAttempt": True, "isSigned": False, "excerpt": None}),
}


@pytest.mark.anyio
@pytest.mark.parametrize(("status", "body", "expected"), ANSWERS.values(), ids=ANSWERS)
async def test_an_answer_that_is_no_outcome_is_kept_in_part(
    api: httpx.AsyncClient,
    service: Service,
    app: App,
    serve: Serve,
    wait_until: WaitUntil,
    status: int,
    body: bytes,
    expected: dict[str, t.Any],
) -> None:
    async def answer(_: web.Request) -> web.Response:
        return web.Response(status=status, body=body)

    url = await serve(answer) + "/queues/emails"
    await service.workers.register("emails", Registration.model_validate(app.registration(url=url)), replace=None)
    opts = {"attempts": 2, "backoff": 3_600_000}
    job_id = (await api.post(JOBS, json={"name": "welcome", "opts": opts})).json()["id"]
    kept = (await until_seen(api, job_id, 1, wait_until))["deliveries"][0]
    expected = {"attempt": 1, "server": service.id, **expected}
    assert {name: kept[name] for name in expected} == expected


@pytest.mark.anyio
async def test_deliveries_beyond_those_that_are_kept_are_counted(
    api: httpx.AsyncClient, service: Service, app: App, wait_until: WaitUntil
) -> None:
    app.outcome = {"outcome": "failed", "error": {"name": "ValueError", "message": "no address"}}
    await service.workers.register("emails", Registration.model_validate(app.registration()), replace=None)
    job_id = (await api.post(JOBS, json={"name": "welcome", "opts": {"attempts": 22}})).json()["id"]

    async def has_failed() -> bool:
        return bool((await service.jobs.get("emails", job_id))["state"] == "failed")

    await wait_until(has_failed)
    job = (await api.get(f"{JOBS}/{job_id}")).json()
    assert (job["deliveriesCount"], len(job["deliveries"])) == (22, 20)
    assert [kept["attempt"] for kept in job["deliveries"]] == list(range(3, 23))


@pytest.mark.anyio
async def test_an_active_job_tells_which_server_holds_its_lock(
    api: httpx.AsyncClient, service: Service, app: App, wait_until: WaitUntil
) -> None:
    app.gate.clear()
    await service.workers.register("emails", Registration.model_validate(app.registration()), replace=None)
    job_id = (await api.post(JOBS, json={"name": "welcome"})).json()["id"]
    await wait_until(lambda: app.deliveries)
    lock = (await api.get(f"{JOBS}/{job_id}")).json()["lock"]
    app.gate.set()
    assert (lock["owner"], 0 < lock["expiresIn"] <= 30_000) == (f"server {service.id}", True)


OWNERS = {
    "a server": ("nmq-0a1b:7", None, "server 0a1b"),
    "a worker with a name": ("5f0c:1", "mailer", "BullMQ worker mailer"),
    "a worker without one": ("5f0c:1", None, "BullMQ worker 5f0c"),
    "a worker after a server": ("5f0c:1", "nmq-0a1b", "BullMQ worker 5f0c"),
}


@pytest.mark.parametrize(("token", "worker", "expected"), OWNERS.values(), ids=OWNERS)
def test_a_lock_token_names_its_owner(token: str, worker: str | None, expected: str) -> None:
    assert owner_of(token, worker) == expected


@pytest.mark.anyio
async def test_a_held_delivery_counts_as_no_start(
    api: httpx.AsyncClient, service: Service, app: App, serve: Serve, wait_until: WaitUntil
) -> None:
    async def answer(request: web.Request) -> web.Response:
        return web.Response(status=410)

    url = await serve(answer) + "/queues/emails"
    await service.workers.register("emails", Registration.model_validate(app.registration(url=url)), replace=None)
    job_id = (await api.post(JOBS, json={"name": "welcome"})).json()["id"]
    assert (await until_seen(api, job_id, 1, wait_until))["attemptsStarted"] == 0


@pytest.mark.anyio
async def test_a_delivery_tells_when_it_was_sent_and_how_long_it_took(
    api: httpx.AsyncClient, service: Service, app: App, wait_until: WaitUntil
) -> None:
    await service.workers.register("emails", Registration.model_validate(app.registration()), replace=None)
    before = round(time.time() * 1000)
    job_id = (await api.post(JOBS, json={"name": "welcome"})).json()["id"]
    [kept] = (await until_seen(api, job_id, 1, wait_until))["deliveries"]
    after = round(time.time() * 1000)
    assert before <= kept["at"] <= kept["at"] + kept["ms"] <= after + 1


@pytest.mark.anyio
async def test_a_delivery_has_the_id_that_the_app_was_sent(
    api: httpx.AsyncClient, service: Service, app: App, wait_until: WaitUntil
) -> None:
    await service.workers.register("emails", Registration.model_validate(app.registration()), replace=None)
    job_id = (await api.post(JOBS, json={"name": "welcome"})).json()["id"]
    [kept] = (await until_seen(api, job_id, 1, wait_until))["deliveries"]
    assert kept["deliveryId"] == app.deliveries[0]["deliveryId"]


@pytest.mark.anyio
async def test_a_job_that_was_removed_meanwhile_is_not_made_again(
    api: httpx.AsyncClient, service: Service, app: App, wait_until: WaitUntil
) -> None:
    app.outcome = {"outcome": "waitingChildren"}
    app.gate.clear()
    await service.workers.register("emails", Registration.model_validate(app.registration()), replace=None)
    job_id = (await api.post(JOBS, json={"name": "welcome"})).json()["id"]
    await wait_until(lambda: app.deliveries)
    key = service.jobs.scripts("emails").key(job_id)
    await service._hub.connection.execute("DEL", key)
    app.gate.set()
    await wait_until(lambda: not service._hub.queues["emails"].active)
    assert not await service._hub.connection.execute("EXISTS", key)


@pytest.mark.anyio
async def test_a_stop_does_not_lose_a_delivery_that_was_answered(
    service: Service, app: App, wait_until: WaitUntil, monkeypatch: pytest.MonkeyPatch
) -> None:
    await service.workers.register("emails", Registration.model_validate(app.registration()), replace=None)
    judged, go_on = asyncio.Event(), asyncio.Event()
    verdict = Health.verdict

    async def slow(health: Health, *found: t.Any) -> t.Any:
        judged.set()
        await go_on.wait()
        return await verdict(health, *found)

    monkeypatch.setattr(Health, "verdict", slow)
    [job] = await service.add([service.jobs.new("emails", "welcome", None, {}, now=0)])
    await judged.wait()
    service.hurry()
    go_on.set()

    async def is_completed() -> bool:
        return bool((await service.jobs.get("emails", job.id))["state"] == "completed")

    await wait_until(is_completed)
    assert len(app.deliveries) == 1
