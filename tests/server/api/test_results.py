"""GET …/jobs/{id}/result: at once, waited for, gone, lost; many waits at the price of one connection."""

from __future__ import annotations

import asyncio
import typing as t

import httpx
import pytest

from nextmq_server.dispatch.egress.rules import EgressRules
from nextmq_server.embedded import EmbeddedValkey
from nextmq_server.engine.events import hub as engine_events
from nextmq_server.engine.events import results as engine_results
from nextmq_server.front import bounds
from nextmq_server.front.bounds import MAX_WAITS
from nextmq_server.projects.projects import Project
from nextmq_server.service import Service
from tests.support.api import JOBS, WORKER, refusal, send
from tests.support.rest_api import rest_api
from tests.support.serving import serving

if t.TYPE_CHECKING:
    from ..conftest import App, WaitUntil

pytestmark = pytest.mark.anyio

LONG = 60_000
PENDING = {"returnValue": None, "failedReason": None, "stacktrace": None, "finishedOn": None}


@pytest.fixture
async def looks(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """Record the job of each look at a result."""
    looks: list[str] = []
    look = engine_results._look

    async def noted(scripts: t.Any, job_id: str, **since: str) -> engine_results.Look:
        try:
            return await look(scripts, job_id, **since)
        finally:
            looks.append(job_id)

    monkeypatch.setattr(engine_results, "_look", noted)
    return looks


@pytest.fixture
async def own_service(own_valkey: EmbeddedValkey, project: Project) -> t.AsyncIterator[Service]:
    """Run a service on its own Valkey, which a test may stop."""
    service = Service(project, own_valkey.url, egress=EgressRules.for_development())
    await service.start()
    yield service
    await service.stop(grace=0)


@pytest.fixture
async def own_api(own_service: Service, project: Project) -> t.AsyncIterator[httpx.AsyncClient]:
    """Its API."""
    async with httpx.AsyncClient(
        transport=httpx.ASGITransport(rest_api(own_service)),
        base_url="http://server.example",
        headers={"authorization": f"Bearer {project.api_key}"},
    ) as client:
        yield client


async def add(api: httpx.AsyncClient, **opts: t.Any) -> str:
    """Add a job and return its id."""
    answer = await send(api, "POST", JOBS, {"name": "welcome", "opts": opts})
    return str(answer.raise_for_status().json()["id"])


async def result(api: httpx.AsyncClient, job_id: str, wait: int = 0) -> httpx.Response:
    return await api.get(f"{JOBS}/{job_id}/result", params={"wait": wait})


async def waited(api: httpx.AsyncClient, job_id: str) -> dict[str, t.Any]:
    return dict((await result(api, job_id, LONG)).raise_for_status().json())


async def run(api: httpx.AsyncClient, app: App) -> None:
    """Let the app have the jobs."""
    (await send(api, "PUT", WORKER, app.registration())).raise_for_status()


async def shown(api: httpx.AsyncClient, job_id: str) -> dict[str, t.Any]:
    """Return the same members of the job itself."""
    job = (await api.get(f"{JOBS}/{job_id}")).raise_for_status().json()
    return {name: job[name] for name in ("state", *PENDING)}


async def test_a_job_that_waits_has_no_result(api: httpx.AsyncClient) -> None:
    assert (await result(api, await add(api))).json() == {"state": "waiting", **PENDING}


@pytest.mark.parametrize(
    ("opts", "state"),
    [({"delay": LONG}, "delayed"), ({"priority": 1}, "prioritized")],
    ids=["delayed", "prioritized"],
)
async def test_a_job_without_result_has_its_state(api: httpx.AsyncClient, opts: t.Any, state: str) -> None:
    assert (await result(api, await add(api, **opts))).json() == {"state": state, **PENDING}


async def test_a_job_of_a_paused_queue_waits(api: httpx.AsyncClient) -> None:
    (await api.post("/v1/queues/emails/pause")).raise_for_status()
    assert (await result(api, await add(api))).json()["state"] == "waiting"


async def test_a_completed_job_has_its_return_value(api: httpx.AsyncClient, app: App) -> None:
    app.outcome = {"outcome": "completed", "returnValue": {"sent": ["\ud800", 0.5, None]}}
    await run(api, app)
    answer = await waited(api, await add(api))
    assert (answer["state"], answer["returnValue"]) == ("completed", {"sent": ["\ud800", 0.5, None]})


async def test_a_failed_job_has_its_reason(api: httpx.AsyncClient, app: App) -> None:
    app.outcome = {"outcome": "failed", "error": {"name": "ValueError", "message": "no such address"}}
    await run(api, app)
    answer = await waited(api, await add(api))
    assert (answer["state"], answer["failedReason"]) == ("failed", "ValueError: no such address")


@pytest.mark.parametrize("outcome", ["completed", "failed"])
async def test_a_result_is_what_the_job_shows(api: httpx.AsyncClient, app: App, outcome: str) -> None:
    error = {"name": "ValueError", "message": "no", "stack": "line 1\nline 2"}
    app.outcome = {"outcome": "completed", "returnValue": 5} if outcome == "completed" else {"outcome": "failed"}
    app.outcome |= {"error": error} if outcome == "failed" else {}
    await run(api, app)
    job_id = await add(api)
    assert await waited(api, job_id) == await shown(api, job_id)


async def test_a_result_that_is_there_is_answered_again(api: httpx.AsyncClient, app: App) -> None:
    await run(api, app)
    job_id = await add(api)
    first = await waited(api, job_id)
    assert (await result(api, job_id)).json() == first


async def test_a_job_that_ends_while_it_is_waited_for_is_answered(
    api: httpx.AsyncClient, app: App, looks: list[str], wait_until: WaitUntil
) -> None:
    job_id = await add(api)
    waiting = asyncio.create_task(waited(api, job_id))
    await wait_until(lambda: looks)
    await run(api, app)
    assert (await waiting)["returnValue"] == "sent"


async def test_a_job_that_does_not_end_in_time_has_its_state(api: httpx.AsyncClient) -> None:
    assert (await result(api, await add(api), 10)).json() == {"state": "waiting", **PENDING}


async def test_an_event_alone_is_no_result(
    service: Service, api: httpx.AsyncClient, app: App, looks: list[str], wait_until: WaitUntil
) -> None:
    job_id = await add(api)
    waiting = asyncio.create_task(waited(api, job_id))
    await wait_until(lambda: looks)
    scripts = service.jobs.scripts("emails")
    event = ("event", "failed", "jobId", job_id)
    await scripts.connection.execute("XADD", scripts.keys["events"], "*", *event)
    await wait_until(lambda: len(looks) == 2)
    await run(api, app)
    assert (await waiting)["state"] == "completed"


async def test_a_job_that_is_not_kept_has_its_result(api: httpx.AsyncClient, app: App) -> None:
    await run(api, app)
    job_id = await add(api, removeOnComplete=True)
    assert (await waited(api, job_id))["returnValue"] == "sent"


async def test_a_job_that_was_not_kept_has_its_result_for_a_while(
    api: httpx.AsyncClient, app: App, wait_until: WaitUntil
) -> None:
    await run(api, app)
    job_id = await add(api, removeOnComplete=True)

    async def is_gone() -> bool:
        return (await api.get(f"{JOBS}/{job_id}")).status_code == 404

    await wait_until(is_gone)
    assert (await result(api, job_id)).json()["returnValue"] == "sent"


@pytest.mark.parametrize("wait", [0, LONG])
@pytest.mark.parametrize("job_id", ["99", "no-such-job", "wait", "meta", "events", "id", "a%2Fb"])
async def test_what_is_no_job_has_no_result(api: httpx.AsyncClient, job_id: str, wait: int) -> None:
    await add(api)  # so that the queue's own keys are there
    assert refusal(await result(api, job_id, wait)) == (404, "not_found")


async def test_a_job_removed_while_it_is_waited_for_has_no_result(
    api: httpx.AsyncClient, looks: list[str], wait_until: WaitUntil
) -> None:
    job_id = await add(api)
    waiting = asyncio.create_task(result(api, job_id, LONG))
    await wait_until(lambda: looks)
    (await api.delete(f"{JOBS}/{job_id}")).raise_for_status()
    assert refusal(await waiting) == (404, "not_found")


@pytest.mark.parametrize(
    ("call", "body"),
    [("drain", {}), ("clean", {"grace": 0, "state": "wait"}), ("obliterate", {})],
    ids=["drain", "clean", "obliterate"],
)
async def test_a_job_removed_with_all_others_while_it_is_waited_for_has_no_result(
    api: httpx.AsyncClient, looks: list[str], wait_until: WaitUntil, call: str, body: dict[str, t.Any]
) -> None:
    waiting = asyncio.create_task(result(api, await add(api), LONG))
    await wait_until(lambda: looks)
    (await send(api, "POST", f"/v1/queues/emails/{call}", body)).raise_for_status()
    assert refusal(await waiting) == (404, "not_found")


@pytest.mark.parametrize("wait", ["-1", "60001", "1.5", "long", ""], ids=lambda wait: wait or "empty")
async def test_a_wait_is_a_minute_at_most(api: httpx.AsyncClient, wait: str) -> None:
    answer = await api.get(f"{JOBS}/1/result", params={"wait": wait})
    assert refusal(answer) == (422, "invalid_request")


async def test_everybody_who_waits_for_a_job_is_answered(
    api: httpx.AsyncClient, app: App, looks: list[str], wait_until: WaitUntil
) -> None:
    job_id = await add(api)
    waiting = [asyncio.create_task(waited(api, job_id)) for _ in range(3)]
    await wait_until(lambda: len(looks) == 3)
    await run(api, app)
    assert [answer["returnValue"] for answer in await asyncio.gather(*waiting)] == ["sent"] * 3


async def test_many_waits_take_one_connection_and_two_looks_each(
    own_service: Service, own_api: httpx.AsyncClient, app: App, looks: list[str], wait_until: WaitUntil
) -> None:
    jobs = {"jobs": [{"name": "welcome"}] * MAX_WAITS}
    added = (await send(own_api, "POST", f"{JOBS}/bulk", jobs)).raise_for_status().json()["jobs"]
    waiting = [asyncio.create_task(waited(own_api, job["id"])) for job in added]
    await wait_until(lambda: len(looks) == MAX_WAITS)
    connection = own_service.jobs.scripts("emails").connection
    everyone: str = await connection.execute("CLIENT", "LIST")
    (await send(own_api, "PUT", WORKER, app.registration(options={"concurrency": 100}))).raise_for_status()
    states = {answer["state"] for answer in await asyncio.gather(*waiting)}
    assert (states, everyone.count(" cmd=xread "), len(looks)) == ({"completed"}, 1, 2 * MAX_WAITS)


async def test_more_waits_than_a_project_may_have_are_refused(
    service: Service, api: httpx.AsyncClient, looks: list[str], wait_until: WaitUntil
) -> None:
    job_id = await add(api, delay=LONG)
    waiting = [asyncio.create_task(result(api, job_id, LONG)) for _ in range(600)]
    await wait_until(lambda: len(looks) == MAX_WAITS and sum(each.done() for each in waiting) == 600 - MAX_WAITS)
    refused = [each.result() for each in waiting if each.done()]
    assert {(refusal(answer), answer.headers["retry-after"]) for answer in refused} == {
        ((429, "too_many_waits"), "1")
    }
    assert (await result(api, job_id)).json()["state"] == "delayed"
    await service.stop(grace=0)
    await asyncio.gather(*waiting)


async def test_a_wait_that_ends_makes_place(
    service: Service, api: httpx.AsyncClient, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(bounds, "MAX_WAITS", 1)
    async with serving(service) as client:
        for job_id in (await add(client), "no-such-job", await add(client)):
            assert (await result(client, job_id, 1)).status_code in (200, 404)


async def test_a_client_that_goes_away_waits_no_more(
    service: Service, looks: list[str], wait_until: WaitUntil, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(engine_events, "BLOCK_TIME", 3600)
    connection = service.jobs.scripts("emails").connection

    async def reads() -> bool:
        everyone: str = await connection.execute("CLIENT", "LIST")
        return any(" cmd=xread " in line and " flags=b" in line for line in everyone.splitlines())

    async def reads_no_more() -> bool:
        await add(client)  # its events end the read that is underway
        return not await reads()

    async with serving(service) as client:
        waiting = asyncio.create_task(result(client, await add(client, delay=LONG), LONG))
        await wait_until(lambda: looks)
        await wait_until(reads)
        waiting.cancel()
        await wait_until(reads_no_more)
        assert not await reads()


async def test_a_wait_outlives_a_restart_of_redis(
    own_service: Service,
    own_api: httpx.AsyncClient,
    own_valkey: EmbeddedValkey,
    app: App,
    looks: list[str],
    wait_until: WaitUntil,
) -> None:
    job_id = await add(own_api)
    waiting = asyncio.create_task(waited(own_api, job_id))
    await wait_until(lambda: looks)
    own_valkey.stop()
    own_valkey.start()

    async def is_back() -> bool:
        return (await send(own_api, "PUT", WORKER, app.registration())).is_success

    await wait_until(is_back)
    assert (await waiting)["returnValue"] == "sent"


async def test_a_wait_that_ends_without_redis_is_a_503(
    own_api: httpx.AsyncClient, own_valkey: EmbeddedValkey, looks: list[str], wait_until: WaitUntil
) -> None:
    waiting = asyncio.create_task(result(own_api, await add(own_api), 1000))
    await wait_until(lambda: looks)
    own_valkey.stop()
    assert refusal(await waiting) == (503, "storage_unavailable")


async def test_no_wait_begins_without_redis(own_api: httpx.AsyncClient, own_valkey: EmbeddedValkey) -> None:
    job_id = await add(own_api)
    own_valkey.stop()
    assert refusal(await result(own_api, job_id, LONG)) == (503, "storage_unavailable")


async def test_a_wait_ends_when_the_service_stops(
    service: Service, api: httpx.AsyncClient, looks: list[str], wait_until: WaitUntil
) -> None:
    waiting = asyncio.create_task(result(api, await add(api), LONG))
    await wait_until(lambda: looks)
    await service.stop(grace=0)
    assert refusal(await waiting) == (503, "storage_unavailable")


async def test_a_wait_ends_when_the_events_cannot_be_read(
    service: Service, api: httpx.AsyncClient, looks: list[str], wait_until: WaitUntil
) -> None:
    waiting = asyncio.create_task(result(api, await add(api), LONG))
    await wait_until(lambda: looks)
    scripts = service.jobs.scripts("emails")
    await scripts.connection.execute("SET", scripts.keys["events"], "text")
    other = await send(api, "POST", "/v1/queues/orders/jobs", {"name": "ship"})
    await api.get(f"/v1/queues/orders/jobs/{other.json()['id']}/result?wait=1")  # a read of both queues begins
    assert refusal(await waiting) == (503, "storage_unavailable")


async def test_without_the_key_there_is_no_result(api: httpx.AsyncClient) -> None:
    answer = await api.get(f"{JOBS}/1/result", headers={"authorization": "Bearer wrong"})
    assert refusal(answer) == (401, "unauthorized")
