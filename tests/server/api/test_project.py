"""GET /v1/project: the ids of keys and secrets with their last uses, and never the keys and secrets."""

from __future__ import annotations

import typing as t

import httpx
import pytest

from nextmq_server.engine.queues.jobs import Jobs
from nextmq_server.projects.projects import Project
from nextmq_server.service import Service
from nextmq_server.workers.registration import Registration
from tests.support.api import JOBS

if t.TYPE_CHECKING:
    from ..conftest import App, WaitUntil

pytestmark = pytest.mark.anyio


async def is_completed(jobs: Jobs, job_id: str) -> bool:
    return bool((await jobs.get("emails", job_id))["state"] == "completed")


async def test_it_shows_the_use_of_the_key_that_asks(api: httpx.AsyncClient, project: Project) -> None:
    [key] = (await api.get("/v1/project")).json()["apiKeys"]
    assert (key["id"], type(key["lastUsed"])) == (project.key_ids[0], int)


async def test_a_secret_that_signed_nothing_has_no_last_use(api: httpx.AsyncClient, project: Project) -> None:
    assert (await api.get("/v1/project")).json()["webhookSecrets"] == [
        {"id": project.secrets[0].id, "lastUsed": None}
    ]


async def test_an_outcome_is_a_use_of_the_secret_that_signed_it(
    api: httpx.AsyncClient, service: Service, app: App, wait_until: WaitUntil
) -> None:
    await service.workers.register("emails", Registration.model_validate(app.registration()), replace=None)
    job_id = (await api.post(JOBS, json={"name": "welcome"})).json()["id"]
    await wait_until(lambda: is_completed(service.jobs, job_id))
    [secret] = (await api.get("/v1/project")).json()["webhookSecrets"]
    assert isinstance(secret["lastUsed"], int)


async def test_it_shows_neither_key_nor_secret(api: httpx.AsyncClient, project: Project) -> None:
    answer = await api.get("/v1/project")
    assert answer.is_success
    texts = (project.api_key, *(secret.removeprefix("whsec_") for secret in project.webhook_secrets))
    assert [text for text in texts if text in answer.text] == []
