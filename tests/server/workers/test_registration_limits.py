"""A project's registrations stay small: their number, their size, and what they cost a process."""

from __future__ import annotations

import json
import typing as t

import httpx
import pytest

from nextmq_handler.rules.limits import MAX_SCHEMAS
from nextmq_server.projects.projects import Project
from nextmq_server.service import Service
from nextmq_server.workers import registry
from nextmq_server.workers.registration import Registration
from nextmq_server.workers.registry import Registry
from tests.support.api import WORKER, refusal, registration, send

pytestmark = pytest.mark.anyio

SURROGATES = ["\ud800", "a\udfffb", {"\udc80": 1}, ["\ud83d", "\ude00"], {"a": {"b": ["\udcff"]}}, "é\ud800中"]


def worker(number: int) -> str:
    return WORKER.replace("emails", f"emails-{number}")


def schemas_of(size: int) -> dict[str, str]:
    """Return schemas whose compact JSON has `size` bytes."""
    return {"a": "x" * (size - len('{"a":""}'))}


@pytest.mark.parametrize("size", [8, 1000, MAX_SCHEMAS - 1, MAX_SCHEMAS])
async def test_schemas_up_to_64_kib_are_kept(api: httpx.AsyncClient, project: Project, size: int) -> None:
    body = registration(project, schemas=schemas_of(size))
    assert (await send(api, "PUT", WORKER, body)).json()["schemas"] == schemas_of(size)
    assert (await api.get(WORKER)).json()["schemas"] == schemas_of(size)


@pytest.mark.parametrize("size", [MAX_SCHEMAS + 1, 2 * MAX_SCHEMAS, 2**21])
async def test_larger_schemas_are_refused_with_the_fix(
    api: httpx.AsyncClient, project: Project, size: int
) -> None:
    answer = await send(api, "PUT", WORKER, registration(project, schemas=schemas_of(size)))
    assert refusal(answer) == (422, "schemas_too_large")
    assert f"they are {size} bytes" in answer.json()["message"]
    assert "register without them" in answer.json()["message"]


@pytest.mark.parametrize("schemas", ["{}", 1, [], True])
async def test_schemas_are_an_object(api: httpx.AsyncClient, project: Project, schemas: object) -> None:
    answer = await send(api, "PUT", WORKER, registration(project, schemas=schemas))
    assert refusal(answer) == (422, "invalid_request")


async def test_schemas_are_held_as_text(api: httpx.AsyncClient, project: Project, service: Service) -> None:
    schemas = {"a": {"type": "object", "properties": {"to": {"type": "string"}}}}
    (await api.put(WORKER, json=registration(project, schemas=schemas))).raise_for_status()
    again = Registry(service.registry._connection, service.jobs.scripts("emails")._runner.keys)
    held = [service.registry.get("emails"), (await again.load())["emails"]]
    assert [type(one.schemas) if one else None for one in held] == [str, str]


async def test_schemas_that_were_stored_before_there_was_a_limit_are_read(
    service: Service, project: Project
) -> None:
    stored = Registration.model_validate(registration(project, schemas=schemas_of(10 * MAX_SCHEMAS)))
    await service.registry._connection.execute("HSET", service.registry._key, "emails", stored.text())
    assert list(await service.registry.load()) == ["emails"]


@pytest.mark.parametrize(
    "schedule", [{"id": "a:b", "every": 1}, {"id": "b", "every": 1, "opts": {"priority": 2**21}}]
)
async def test_a_worker_is_not_lost_for_a_stored_schedule_that_is_no_longer_taken(
    service: Service, project: Project, schedule: dict[str, t.Any]
) -> None:
    stored = registration(project, schedules=[{"id": "good", "every": 1000}, schedule])
    await service.registry._connection.execute("HSET", service.registry._key, "emails", json.dumps(stored))
    assert [each.id for each in (await service.registry.load())["emails"].schedules] == ["good"]


async def test_a_project_has_so_many_workers_and_no_more(
    api: httpx.AsyncClient, project: Project, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(registry, "MAX_WORKERS", 3)
    answers = [await api.put(worker(number), json=registration(project)) for number in range(4)]
    assert [answer.status_code for answer in answers] == [200, 200, 200, 422]
    assert answers[3].json()["error"] == "too_many_workers"


async def test_a_worker_registers_again_when_there_is_no_room_for_another(
    api: httpx.AsyncClient, project: Project, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(registry, "MAX_WORKERS", 1)
    body = registration(project)
    assert [(await api.put(worker(1), json=body)).status_code for _ in range(2)] == [200, 200]
    (await api.delete(worker(1))).raise_for_status()
    assert (await api.put(worker(2), json=body)).status_code == 200


async def test_the_registrations_of_a_project_are_bounded_together(
    api: httpx.AsyncClient, project: Project, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(registry, "MAX_REGISTRATIONS", 10_000)
    body = registration(project, schemas=schemas_of(4000))
    answers = [await api.put(worker(number), json=body) for number in range(3)]
    assert [answer.status_code for answer in answers] == [200, 200, 422]
    assert "over the limit of 10000" in answers[2].json()["message"]


@pytest.mark.parametrize("data", SURROGATES)
async def test_the_data_of_a_declared_schedule_may_hold_lone_surrogates(
    api: httpx.AsyncClient, project: Project, service: Service, data: t.Any
) -> None:
    body = registration(project, schedules=[{"id": "s", "every": 10**9, "data": data}])
    for answer in (await send(api, "PUT", WORKER, body), await api.get(WORKER)):
        assert (answer.status_code, answer.json()["schedules"][0]["data"]) == (200, data)
    for path in ("/v1/workers", "/v1/queues", "/v1/queues/emails"):
        assert (await api.get(path)).status_code == 200
    assert (await service.registry.declared("emails"))[0].data == data
    assert (await service.schedulers.get("emails", "s")).view["template"]["data"] == data
