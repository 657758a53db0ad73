"""The REST API while its Valkey is stopped, and after it came back on the same folder."""

from __future__ import annotations

import typing as t

import httpx
import pytest

from nextmq_server.dispatch.egress.rules import EgressRules
from nextmq_server.embedded import EmbeddedValkey
from nextmq_server.projects.projects import Project
from nextmq_server.service import Service
from tests.support.api import COUNTS, JOBS, WORKER, refusal, registration
from tests.support.rest_api import rest_api

if t.TYPE_CHECKING:
    from ..conftest import App, WaitUntil

pytestmark = pytest.mark.anyio

JOB = {"name": "welcome", "data": {"to": "a@example.com"}}

# Every call that needs Redis, as method, path and body.
CALLS: list[tuple[str, str, object]] = [
    ("POST", JOBS, JOB),
    ("GET", f"{JOBS}/1", None),
    ("PUT", f"{JOBS}/1/progress", {"progress": 5}),
    ("GET", COUNTS, None),
    ("PUT", WORKER, None),
    ("DELETE", WORKER, None),
]


@pytest.fixture
async def service(own_valkey: EmbeddedValkey, project: Project) -> t.AsyncIterator[Service]:
    """Run a service on its own Valkey, which a test may stop."""
    service = Service(project, own_valkey.url, egress=EgressRules.for_development())
    await service.start()
    yield service
    await service.stop(grace=0)


@pytest.fixture
async def api(service: Service, project: Project) -> t.AsyncIterator[httpx.AsyncClient]:
    """Call the service's REST API; one job waits already."""
    async with httpx.AsyncClient(
        transport=httpx.ASGITransport(rest_api(service)),
        base_url="http://server.example",
        headers={"authorization": f"Bearer {project.api_key}"},
    ) as client:
        (await client.post(JOBS, json=JOB)).raise_for_status()
        yield client


@pytest.fixture
def back(
    own_valkey: EmbeddedValkey, api: httpx.AsyncClient, wait_until: WaitUntil
) -> t.Callable[[], t.Awaitable[None]]:
    """Stop Valkey and start it again on its folder; return once the API has noticed."""

    async def works() -> bool:
        return (await api.get(COUNTS)).is_success

    async def back() -> None:
        own_valkey.stop()
        own_valkey.start()
        await wait_until(works)

    return back


@pytest.mark.parametrize(("method", "path", "body"), CALLS, ids=[" ".join(call[:2]) for call in CALLS])
async def test_a_call_that_needs_redis_answers_503(
    api: httpx.AsyncClient, own_valkey: EmbeddedValkey, project: Project, method: str, path: str, body: object
) -> None:
    own_valkey.stop()
    answer = await api.request(method, path, json=registration(project) if path == WORKER else body)
    assert refusal(answer) == (503, "storage_unavailable")


async def test_a_503_says_when_to_try_again(api: httpx.AsyncClient, own_valkey: EmbeddedValkey) -> None:
    own_valkey.stop()
    assert (await api.get(COUNTS)).headers["retry-after"] == "1"


async def test_the_delivery_of_a_progress_cannot_be_checked(
    api: httpx.AsyncClient, own_valkey: EmbeddedValkey
) -> None:
    own_valkey.stop()
    headers = {"x-nextmq-delivery": "dlv_1"}
    answer = await api.put(f"{JOBS}/1/progress", json={"progress": 5}, headers=headers)
    assert refusal(answer) == (503, "storage_unavailable")


async def test_what_is_wrong_anyway_is_still_said(api: httpx.AsyncClient, own_valkey: EmbeddedValkey) -> None:
    own_valkey.stop()
    assert refusal(await api.post(JOBS, json={})) == (422, "invalid_request")


async def test_healthz_does_not_need_redis(api: httpx.AsyncClient, own_valkey: EmbeddedValkey) -> None:
    own_valkey.stop()
    assert (await api.get("/healthz")).status_code == 200


async def test_a_registration_that_was_not_stored_does_not_count(
    api: httpx.AsyncClient, own_valkey: EmbeddedValkey, project: Project
) -> None:
    own_valkey.stop()
    await api.put(WORKER, json=registration(project))
    assert refusal(await api.get(WORKER)) == (404, "not_found")


async def test_a_registration_that_was_not_removed_still_counts(
    api: httpx.AsyncClient, own_valkey: EmbeddedValkey, project: Project
) -> None:
    await api.put(WORKER, json=registration(project))
    own_valkey.stop()
    await api.delete(WORKER)
    own_valkey.start()
    assert (await api.get(WORKER)).status_code == 200


async def test_jobs_are_still_there_when_redis_is_back(
    api: httpx.AsyncClient, back: t.Callable[[], t.Awaitable[None]]
) -> None:
    await back()
    assert (await api.get(f"{JOBS}/1")).json()["data"] == JOB["data"]


async def test_jobs_are_added_when_redis_is_back(
    api: httpx.AsyncClient, back: t.Callable[[], t.Awaitable[None]]
) -> None:
    await back()
    assert (await api.post(JOBS, json=JOB)).status_code == 201


async def test_jobs_are_delivered_when_redis_is_back(
    api: httpx.AsyncClient, app: App, back: t.Callable[[], t.Awaitable[None]], wait_until: WaitUntil
) -> None:
    await back()
    await api.put(WORKER, json=app.registration())
    await wait_until(lambda: app.deliveries)
    assert app.deliveries[0]["job"]["data"] == JOB["data"]


async def test_a_queue_that_ran_before_runs_when_redis_is_back(
    api: httpx.AsyncClient, app: App, back: t.Callable[[], t.Awaitable[None]], wait_until: WaitUntil
) -> None:
    await api.put(WORKER, json=app.registration())
    await wait_until(lambda: app.deliveries)
    await back()
    added = await api.post(JOBS, json=JOB)
    await wait_until(lambda: len(app.deliveries) == 2)
    assert app.deliveries[1]["job"]["id"] == added.json()["id"]
