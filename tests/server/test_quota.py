"""A project that has as many jobs as it may gets no new ones, and only that one."""

from __future__ import annotations

import contextlib
import typing as t

import httpx
import pytest

from nextmq_server import quota
from nextmq_server.dispatch.egress.rules import EgressRules
from nextmq_server.embedded import EmbeddedValkey
from nextmq_server.engine.queues.usage import usage_of
from nextmq_server.projects.projects import Project, new_project
from nextmq_server.quota import QuotaLimits
from nextmq_server.service import Service
from tests.support.api import JOBS, WORKER, refusal, send
from tests.support.rest_api import rest_api

if t.TYPE_CHECKING:
    from .conftest import App, Engine, WaitUntil

pytestmark = pytest.mark.anyio

FULL = (507, "project_full")
CREATE: dict[str, tuple[str, str, object]] = {
    "a job": ("POST", JOBS, {"name": "a"}),
    "a bulk": ("POST", f"{JOBS}/bulk", {"jobs": [{"name": "a"}]}),
    "a flow": ("POST", "/v1/flows", {"flow": {"name": "a", "queueName": "emails"}}),
    "flows": ("POST", "/v1/flows/bulk", {"flows": [{"name": "a", "queueName": "emails"}]}),
    "a scheduler": ("PUT", "/v1/queues/emails/schedulers/s", {"repeat": {"every": 1000}}),
    "a redrive": ("POST", "/v1/queues/emails/redrive", {}),
    "a trigger": ("POST", "/v1/triggers", {"url": "http://127.0.0.1:9/", "payload": 1, "repeat": {"every": 1000}}),
}
"""What creates jobs."""
GO_ON: dict[str, tuple[str, str, object]] = {
    "a look at a job": ("GET", f"{JOBS}/j", None),
    "progress": ("PUT", f"{JOBS}/j/progress", {"progress": 1}),
    "data": ("PUT", f"{JOBS}/j/data", {"data": 2}),
    "a log line": ("POST", f"{JOBS}/j/logs", {"row": "x"}),
    "counts": ("GET", "/v1/queues/emails/counts", None),
    "a pause": ("POST", "/v1/queues/emails/pause", {}),
    "cleaning": ("POST", "/v1/queues/emails/clean", {"grace": 0}),
    "draining": ("POST", "/v1/queues/emails/drain", {}),
    "a removal": ("DELETE", f"{JOBS}/j", None),
}
"""What goes on in a project that is full."""


@contextlib.asynccontextmanager
async def served(
    valkey: EmbeddedValkey, project: Project, limits: QuotaLimits
) -> t.AsyncIterator[tuple[Service, httpx.AsyncClient]]:
    service = Service(project, valkey.url, egress=EgressRules.for_development(), quota=limits)
    await service.start()
    transport, headers = httpx.ASGITransport(rest_api(service)), {"authorization": f"Bearer {project.api_key}"}
    async with httpx.AsyncClient(transport=transport, base_url="http://s.example", headers=headers) as api:
        yield service, api
    await service.stop(grace=0)


@pytest.mark.parametrize("what", CREATE)
async def test_a_full_project_gets_no_new_jobs(valkey: EmbeddedValkey, project: Project, what: str) -> None:
    async with served(valkey, project, QuotaLimits(jobs=1)) as (_, api):
        (await send(api, "POST", JOBS, {"name": "a"})).raise_for_status()
        answer = await send(api, *CREATE[what])
        assert (refusal(answer), "--max-jobs" in answer.json()["message"]) == (FULL, True)


@pytest.mark.parametrize("what", GO_ON)
async def test_all_else_goes_on_in_a_full_project(valkey: EmbeddedValkey, project: Project, what: str) -> None:
    async with served(valkey, project, QuotaLimits(jobs=1)) as (_, api):
        (await send(api, "POST", JOBS, {"name": "a", "opts": {"jobId": "j"}})).raise_for_status()
        method, path, body = GO_ON[what]
        answer = await (api.request(method, path) if body is None else send(api, method, path, body))
        assert answer.is_success, answer.text


async def test_an_app_registers_and_its_jobs_finish_in_a_full_project(
    valkey: EmbeddedValkey, project: Project, app: App, wait_until: WaitUntil
) -> None:
    async with served(valkey, project, QuotaLimits(jobs=2)) as (service, api):
        for _ in range(2):
            (await send(api, "POST", JOBS, {"name": "a"})).raise_for_status()
        (await api.put(WORKER, json=app.registration())).raise_for_status()

        async def both_are_done() -> bool:
            return (await service.queues.counts("emails"))["completed"] == 2

        await wait_until(both_are_done)


async def test_another_project_goes_on(valkey: EmbeddedValkey, project: Project) -> None:
    async with (
        served(valkey, project, QuotaLimits(jobs=1)) as (_, full),
        served(valkey, new_project(f"{project.name}-b"), QuotaLimits(jobs=1)) as (_, other),
    ):
        (await send(full, "POST", JOBS, {"name": "a"})).raise_for_status()
        assert refusal(await send(full, "POST", JOBS, {"name": "a"})) == FULL
        assert (await send(other, "POST", JOBS, {"name": "a"})).status_code == 201


async def test_there_is_room_again_after_jobs_were_removed(
    valkey: EmbeddedValkey, project: Project, wait_until: WaitUntil, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(quota, "INTERVAL", 0.005)
    async with served(valkey, project, QuotaLimits(jobs=1)) as (service, api):
        (await send(api, "POST", JOBS, {"name": "a", "opts": {"jobId": "j"}})).raise_for_status()
        assert refusal(await send(api, "POST", JOBS, {"name": "a"})) == FULL
        (await api.delete(f"{JOBS}/j")).raise_for_status()
        await wait_until(lambda: service.quota.problem is None)
        assert (await send(api, "POST", JOBS, {"name": "a"})).status_code == 201


async def test_what_is_there_when_the_server_starts_counts(valkey: EmbeddedValkey, project: Project) -> None:
    async with served(valkey, project, QuotaLimits()) as (_, api):
        (await send(api, "POST", JOBS, {"name": "a", "data": "x" * 100_000})).raise_for_status()
    async with served(valkey, project, QuotaLimits(bytes=100_000)) as (_, api):
        answer = await send(api, "POST", JOBS, {"name": "a"})
        assert (refusal(answer), "--max-project-bytes" in answer.json()["message"]) == (FULL, True)


@pytest.mark.parametrize("size", [10, 1000, 50_000])
@pytest.mark.parametrize("opts", [{}, {"delay": 10**8}, {"priority": 5}])
@pytest.mark.parametrize("count", [1, 3, 40])
async def test_the_estimate_is_near_what_the_jobs_have(
    engine: Engine, count: int, opts: dict[str, t.Any], size: int
) -> None:
    await engine.jobs.add([engine.jobs.new("emails", "a", "x" * size, opts, now=1) for _ in range(count)])
    usage = await usage_of(engine.jobs, "emails")
    assert usage.jobs == count
    assert count * size < usage.bytes < count * (1.5 * size + 2000) + 100_000
