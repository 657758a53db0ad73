"""The longest timeout of a worker: a longer one is refused, and one that was stored before is cut."""

from __future__ import annotations

import functools
import logging
import typing as t

import httpx
import pytest

from nextmq_handler.rules.limits import MAX_TIMEOUT_MS, MAX_WORKER_MS
from nextmq_server.dispatch.egress.rules import EgressRules
from nextmq_server.embedded import EmbeddedValkey
from nextmq_server.projects.projects import Project
from nextmq_server.service import Service
from nextmq_server.workers import registry
from nextmq_server.workers.registration import Registration
from nextmq_server.workers.registry import Registry

if t.TYPE_CHECKING:
    from ..conftest import App, WaitUntil

pytestmark = pytest.mark.anyio

WORKER = "/v1/queues/emails/worker"
TOO_LONG = [MAX_TIMEOUT_MS + 1, 3_600_000, 86_400_000, MAX_WORKER_MS]


def timeout_warnings(caplog: pytest.LogCaptureFixture) -> list[str]:
    return [record.getMessage() for record in caplog.records if "a timeout of" in record.getMessage()]


@pytest.mark.parametrize("timeout", TOO_LONG)
async def test_a_timeout_over_15_minutes_is_refused(api: httpx.AsyncClient, app: App, timeout: int) -> None:
    answer = await api.put(WORKER, json=app.registration(options={"timeout": timeout}))
    assert answer.status_code == 422
    assert all(
        part in answer.text for part in ("options.timeout", str(timeout), str(MAX_TIMEOUT_MS), "--max-timeout")
    )
    assert (await api.get(WORKER)).status_code == 404


@pytest.mark.parametrize("timeout", [1, 30_000, MAX_TIMEOUT_MS])
async def test_a_timeout_up_to_15_minutes_is_taken(api: httpx.AsyncClient, app: App, timeout: int) -> None:
    assert (await api.put(WORKER, json=app.registration(options={"timeout": timeout}))).status_code == 200


@pytest.mark.parametrize("timeout", TOO_LONG)
async def test_a_stored_timeout_over_15_minutes_is_cut_with_one_warning(
    valkey: EmbeddedValkey,
    project: Project,
    app: App,
    wait_until: WaitUntil,
    caplog: pytest.LogCaptureFixture,
    timeout: int,
) -> None:
    egress = EgressRules.for_development()
    lenient = Service(project, valkey.url, egress=egress, max_timeout=MAX_WORKER_MS)
    await lenient.start()
    await lenient.workers.register("emails", _registration(app, timeout), replace=None)
    await lenient.stop(grace=0)
    service = Service(project, valkey.url, egress=egress)
    with caplog.at_level(logging.WARNING):
        await service.start()
        for _ in range(2):
            await service.add([service.jobs.new("emails", "welcome", None, {}, now=0)])
        await wait_until(lambda: len(app.deliveries) == 2)
        await service.stop(grace=5)
    assert [delivery["timeout"] for delivery in app.deliveries] == [MAX_TIMEOUT_MS] * 2
    [warning] = timeout_warnings(caplog)
    assert all(part in warning for part in ("emails", str(timeout), str(MAX_TIMEOUT_MS), "--max-timeout"))


async def test_the_warning_comes_once_however_often_the_worker_changes(
    valkey: EmbeddedValkey,
    project: Project,
    app: App,
    wait_until: WaitUntil,
    caplog: pytest.LogCaptureFixture,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(registry, "POLL_INTERVAL", 0.01)
    service = Service(project, valkey.url, egress=EgressRules.for_development())
    await service.start()
    lenient = Registry(service.registry._connection, service.keys)  # of another server
    with caplog.at_level(logging.WARNING):
        for concurrency in (1, 2, 3):
            changed = _registration(app, MAX_WORKER_MS, concurrency=concurrency)
            await lenient.put("emails", changed, replace=True)
            await wait_until(functools.partial(_has_concurrency, service, concurrency))
    await service.stop(grace=0)
    assert len(timeout_warnings(caplog)) == 1


def _has_concurrency(service: Service, concurrency: int) -> bool:
    held = service.registry.get("emails")
    return held is not None and held.options.concurrency == concurrency


def _registration(app: App, timeout: int, **options: int) -> Registration:
    return Registration.model_validate(app.registration(options={"timeout": timeout, **options}))
