"""/readyz: whether a load balancer should send work here; and keys that are rotated while the server runs."""

from __future__ import annotations

import asyncio
import dataclasses
import os
import signal
import typing as t

import httpx
import pytest

from nextmq_server.dispatch.egress.rules import EgressRules
from nextmq_server.embedded import EmbeddedValkey
from nextmq_server.engine.worker import upkeep
from nextmq_server.projects.projects import Project, new_project
from nextmq_server.service import Service
from nextmq_server.workers.registration import Registration
from tests.support.api import COUNTS, registration
from tests.support.rest_api import rest_api

if t.TYPE_CHECKING:
    from ..conftest import App, WaitUntil

pytestmark = pytest.mark.anyio


def client_of(*services: Service) -> httpx.AsyncClient:
    """Call the API of services without a key."""
    return httpx.AsyncClient(transport=httpx.ASGITransport(rest_api(*services)), base_url="http://server.example")


async def readiness(*services: Service) -> tuple[int, t.Any]:
    """Status and body of /readyz."""
    async with client_of(*services) as client:
        answer = await client.get("/readyz")
    return answer.status_code, answer.json()


def unavailable(reason: str) -> tuple[int, t.Any]:
    return 503, {"status": "unavailable", "reason": reason}


async def test_a_running_server_is_ready(service: Service) -> None:
    assert await readiness(service) == (200, {"status": "ok"})


async def test_a_server_that_has_not_started_is_not_ready(valkey: EmbeddedValkey, project: Project) -> None:
    assert await readiness(Service(project, valkey.url)) == unavailable("starting")


async def test_a_server_is_ready_when_all_its_projects_are(service: Service, valkey: EmbeddedValkey) -> None:
    assert await readiness(service, Service(new_project("slow"), valkey.url)) == unavailable("starting")


async def test_a_server_that_lost_redis_is_not_ready(own_valkey: EmbeddedValkey, project: Project) -> None:
    service = Service(project, own_valkey.url)
    await service.start()
    own_valkey.stop()
    answer = await readiness(service)
    await service.stop(grace=0)
    assert answer == unavailable("Redis does not answer")


async def test_a_server_whose_redis_hangs_is_not_ready(
    own_valkey: EmbeddedValkey, project: Project, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("nextmq_server.service.PING_TIMEOUT", 0.05)
    service = Service(project, own_valkey.url)
    await service.start()
    assert own_valkey.pid is not None
    os.kill(own_valkey.pid, signal.SIGSTOP)
    answer = await readiness(service)
    os.kill(own_valkey.pid, signal.SIGCONT)
    await service.stop(grace=0)
    assert answer == unavailable("Redis does not answer")


async def test_a_draining_server_is_not_ready_while_it_still_answers(
    valkey: EmbeddedValkey, project: Project, app: App, wait_until: WaitUntil
) -> None:
    service = Service(project, valkey.url, egress=EgressRules.for_development())
    await service.start()
    await service.workers.register("emails", Registration.model_validate(app.registration()), replace=None)
    app.gate.clear()
    await service.add([service.jobs.new("emails", "welcome", None, {}, now=0)])
    await wait_until(lambda: app.deliveries)
    stopping = asyncio.create_task(service.stop(grace=30))

    async def is_stopping() -> bool:
        return await readiness(service) == unavailable("shutting down")

    await wait_until(is_stopping)
    app.gate.set()
    await stopping


async def test_a_service_with_nothing_in_flight_stops_at_once_without_redis(
    own_valkey: EmbeddedValkey, project: Project, wait_until: WaitUntil, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(upkeep, "SWEEP_INTERVAL", 0.0)  # it tries to fetch again and again
    monkeypatch.setattr(upkeep, "TICK", 0.01)
    service = Service(project, own_valkey.url, egress=EgressRules.for_development())
    await service.start()
    await service.workers.register("emails", Registration.model_validate(registration(project)), replace=None)
    own_valkey.stop()

    async def is_lost() -> bool:
        return await service.readiness() == "Redis does not answer"

    await wait_until(is_lost)
    await asyncio.wait_for(service.stop(grace=600), 60)
    assert await service.readiness() == "shutting down"


async def statuses(service: Service, *keys: str) -> list[int]:
    """How the API answers to each key."""
    async with client_of(service) as client:
        return [(await client.get(COUNTS, headers={"authorization": f"Bearer {key}"})).status_code for key in keys]


async def test_old_and_new_key_are_valid_while_both_are_the_projects(service: Service, project: Project) -> None:
    service.credentials.rotate(dataclasses.replace(project, api_keys=("nmq_new", project.api_key)))
    assert await statuses(service, project.api_key, "nmq_new") == [200, 200]


async def test_a_key_that_was_taken_out_opens_nothing(service: Service, project: Project) -> None:
    service.credentials.rotate(dataclasses.replace(project, api_keys=("nmq_new",)))
    assert await statuses(service, project.api_key, "nmq_new") == [401, 200]


async def test_with_a_new_secret_beside_the_old_the_old_apps_jobs_complete(
    service: Service, project: Project, app: App, wait_until: WaitUntil
) -> None:
    await service.workers.register("emails", Registration.model_validate(app.registration()), replace=None)
    secrets = (*new_project("other").webhook_secrets, *project.webhook_secrets)
    service.credentials.rotate(dataclasses.replace(project, webhook_secrets=secrets))
    [added] = await service.add([service.jobs.new("emails", "welcome", None, {}, now=0)])

    async def is_completed() -> bool:
        return bool((await service.jobs.get("emails", added.id))["state"] == "completed")

    await wait_until(is_completed)


async def test_an_app_that_has_none_of_the_new_secrets_is_warned_of(
    service: Service, project: Project, app: App, caplog: pytest.LogCaptureFixture
) -> None:
    await service.workers.register("emails", Registration.model_validate(app.registration()), replace=None)
    service.credentials.rotate(dataclasses.replace(project, webhook_secrets=new_project("other").webhook_secrets))
    warned = [record.getMessage() for record in caplog.records if record.levelname == "WARNING"]
    assert [line.partition(":")[0] for line in warned] == ["queue emails"]
