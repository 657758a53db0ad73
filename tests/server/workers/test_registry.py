"""The registry behind the API: what Redis keeps, the nearest name, the warning about jobs without a worker."""

from __future__ import annotations

import asyncio
import logging
import typing as t

import httpx
import pytest

from nextmq_server.dispatch.egress.rules import EgressRules
from nextmq_server.embedded import EmbeddedValkey
from nextmq_server.projects.projects import Project
from nextmq_server.redis.address import Address
from nextmq_server.redis.connection import RedisConnection
from nextmq_server.redis.keys import ProjectKeys
from nextmq_server.service import Service
from nextmq_server.workers import registry as registry_module
from nextmq_server.workers.registration import Registration
from nextmq_server.workers.registry import Registry, WorkerConflict
from tests.support.api import JOBS, registration

if t.TYPE_CHECKING:
    from ..conftest import App, WaitUntil

pytestmark = pytest.mark.anyio

MISSPELLED_JOBS = "/v1/queues/Emails/jobs"
WARNING = (
    'queue "Emails" has 1 waiting job and no worker; did you mean "emails"? (nextmq doctor checks the set-up)'
)


class Clock:
    """A clock in Unix s that the test sets."""

    now = 1_790_000_000.0

    def __call__(self) -> float:
        return self.now


@pytest.fixture
async def connection(valkey: EmbeddedValkey) -> t.AsyncIterator[RedisConnection]:
    connection = RedisConnection(Address(valkey.url), name="test")
    await connection.connect()
    yield connection
    await connection.close()


@pytest.fixture
def clock() -> Clock:
    return Clock()


@pytest.fixture
def registry(connection: RedisConnection, project: Project, clock: Clock) -> Registry:
    """Return an empty registry."""
    return Registry(connection, ProjectKeys(project.name), clock=clock)


def worker(project: Project, **changes: t.Any) -> Registration:
    return Registration.model_validate(registration(project, **changes))


def warnings(caplog: pytest.LogCaptureFixture) -> list[str]:
    """Return the warnings of the server."""
    return [
        record.getMessage()
        for record in caplog.records
        if record.name == "nextmq_server" and record.levelno == logging.WARNING
    ]


async def test_a_registration_is_read_back_as_it_was_stored(
    registry: Registry, connection: RedisConnection, project: Project
) -> None:
    options = {"concurrency": 5, "limiter": {"max": 1, "duration": 1000}}
    schemas = {"wel\u2713come": {"type": "object", "maximum": 10**30}}
    await registry.put("emails", worker(project, options=options, schemas=schemas), replace=False)
    assert await Registry(connection, ProjectKeys(project.name)).load() == {"emails": registry.get("emails")}


@pytest.mark.parametrize(
    ("url", "origin"),
    [
        ("https://app.example/queues/emails", "https://app.example"),
        ("https://app.example:443/queues/emails", "https://app.example"),
        ("https://APP.example:8443/x?tenant=1", "https://app.example:8443"),
        ("http://[::1]:8000/", "http://[::1]:8000"),
    ],
)
async def test_the_origin_that_deliveries_count_for_is_scheme_host_and_port(
    project: Project, url: str, origin: str
) -> None:
    assert worker(project, url=url).for_engine().origin == origin


async def test_a_removed_registration_is_not_read_back(
    registry: Registry, connection: RedisConnection, project: Project
) -> None:
    await registry.put("emails", worker(project), replace=False)
    await registry.delete("emails")
    assert await Registry(connection, ProjectKeys(project.name)).load() == {}


async def test_projects_do_not_share_registrations(
    registry: Registry, connection: RedisConnection, project: Project
) -> None:
    await registry.put("emails", worker(project), replace=False)
    assert await Registry(connection, ProjectKeys(f"{project.name}-other")).load() == {}


async def test_the_first_registration_changes_something(registry: Registry, project: Project) -> None:
    assert await registry.put("emails", worker(project), replace=False)


async def test_the_same_registration_changes_nothing(registry: Registry, project: Project) -> None:
    await registry.put("emails", worker(project), replace=False)
    assert not await registry.put("emails", worker(project), replace=False)


async def test_last_seen_is_when_it_was_registered_last(
    registry: Registry, project: Project, clock: Clock
) -> None:
    await registry.put("emails", worker(project), replace=False)
    clock.now += 60
    await registry.put("emails", worker(project), replace=False)
    held = registry.get("emails")
    assert held is not None
    assert held.last_seen == 1_790_000_060_000


async def test_a_registration_that_cannot_be_applied_is_tried_again(
    connection: RedisConnection,
    registry: Registry,
    project: Project,
    wait_until: WaitUntil,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(registry_module, "POLL_INTERVAL", 0.01)
    applied: list[str] = []

    async def apply(queue: str, before: Registration | None) -> None:
        applied.append(queue)
        if len(applied) == 1:
            raise ValueError("not this time")

    follower = asyncio.create_task(registry.follow(apply))
    await Registry(connection, ProjectKeys(project.name)).put("emails", worker(project), replace=False)
    await wait_until(lambda: applied == ["emails"] * 2)
    follower.cancel()
    await asyncio.wait({follower})
    assert registry.get("emails") is not None


async def test_another_url_is_a_conflict(registry: Registry, project: Project) -> None:
    await registry.put("emails", worker(project), replace=False)
    with pytest.raises(WorkerConflict, match="url"):
        await registry.put("emails", worker(project, url="https://other.example/queues/emails"), replace=False)


@pytest.mark.parametrize("replace", [True, "f1"], ids=["whichever there is", "its fingerprint"])
async def test_a_registration_can_be_replaced(registry: Registry, project: Project, replace: bool | str) -> None:
    other = worker(project, options={"concurrency": 2})
    await registry.put("emails", worker(project), replace=False)
    assert await registry.put("emails", other, replace=replace)


async def test_removing_what_is_not_there_is_told(registry: Registry) -> None:
    assert not await registry.delete("emails")


@pytest.mark.parametrize(
    ("queue", "nearest"),
    [
        ("Emails", "emails"),
        ("EMAILS", "emails"),
        ("email", "emails"),
        ("emials", "emails"),
        ("e-mails", "emails"),
        ("orderinvoices", "Order-Invoices"),
        ("reports", None),
        ("e", None),
    ],
)
async def test_the_nearest_name_is_one_that_may_have_been_meant(
    registry: Registry, project: Project, queue: str, nearest: str | None
) -> None:
    for name in ("emails", "Order-Invoices", "payments"):
        await registry.put(name, worker(project), replace=False)
    assert registry.nearest(queue) == nearest


async def test_without_registrations_no_name_is_near(registry: Registry) -> None:
    assert registry.nearest("emails") is None


async def test_a_removed_registration_is_near_no_more(registry: Registry, project: Project) -> None:
    await registry.put("emails", worker(project), replace=False)
    await registry.delete("emails")
    assert registry.nearest("Emails") is None


async def test_a_new_service_knows_the_registrations_of_the_last(
    service: Service, valkey: EmbeddedValkey, project: Project
) -> None:
    held = await service.workers.register("emails", worker(project), replace=None)
    await service.stop(grace=0)
    successor = Service(project, valkey.url, egress=EgressRules.for_development())
    await successor.start()
    found = successor.registry.get("emails")
    await successor.stop(grace=0)
    assert found == held


async def test_a_new_service_runs_the_queues_of_the_last(
    service: Service, valkey: EmbeddedValkey, project: Project, app: App, wait_until: WaitUntil
) -> None:
    await service.workers.register("emails", Registration.model_validate(app.registration()), replace=None)
    await service.stop(grace=0)
    successor = Service(project, valkey.url, egress=EgressRules.for_development())
    await successor.start()
    [added] = await successor.add([successor.jobs.new("emails", "welcome", None, {}, now=0)])
    await wait_until(lambda: app.deliveries)
    await successor.stop(grace=0)
    assert app.deliveries[0]["job"]["id"] == added.id


async def test_a_service_that_replaces_workers_takes_a_different_one(
    valkey: EmbeddedValkey, project: Project
) -> None:
    service = Service(project, valkey.url, egress=EgressRules.for_development(), replace_workers=True)
    await service.start()
    await service.workers.register("emails", worker(project), replace=None)
    taken = await service.workers.register("emails", worker(project, options={"concurrency": 2}), replace=None)
    await service.stop(grace=0)
    assert taken.options.concurrency == 2


async def test_a_job_for_a_misspelled_queue_warns_with_the_name_that_was_meant(
    api: httpx.AsyncClient, service: Service, project: Project, caplog: pytest.LogCaptureFixture
) -> None:
    await service.workers.register("emails", worker(project), replace=None)
    await api.post(MISSPELLED_JOBS, json={"name": "welcome"})
    assert warnings(caplog) == [WARNING]


async def test_the_warning_counts_the_jobs_that_wait(
    api: httpx.AsyncClient, service: Service, caplog: pytest.LogCaptureFixture
) -> None:
    for _ in range(2):
        await service.jobs.add([service.jobs.new("Emails", "welcome", None, {}, now=0)])
    await api.post(MISSPELLED_JOBS, json={"name": "welcome"})
    assert warnings(caplog)[0].startswith('queue "Emails" has 3 waiting jobs and no worker; ')


async def test_the_warning_comes_once(
    api: httpx.AsyncClient, service: Service, project: Project, caplog: pytest.LogCaptureFixture
) -> None:
    await service.workers.register("emails", worker(project), replace=None)
    for _ in range(3):
        await api.post(MISSPELLED_JOBS, json={"name": "welcome"})
    assert warnings(caplog) == [WARNING]


async def test_a_queue_whose_worker_left_is_warned_of_again(
    api: httpx.AsyncClient, service: Service, project: Project, caplog: pytest.LogCaptureFixture
) -> None:
    await api.post(JOBS, json={"name": "welcome", "opts": {"delay": 3_600_000}})
    await service.workers.register("emails", worker(project), replace=None)
    await service.workers.unregister("emails")
    await api.post(JOBS, json={"name": "welcome"})
    assert len(warnings(caplog)) == 2


async def test_a_queue_like_no_other_is_warned_of_with_what_to_do(
    api: httpx.AsyncClient, caplog: pytest.LogCaptureFixture
) -> None:
    await api.post(JOBS, json={"name": "welcome"})
    [line] = warnings(caplog)
    assert line.startswith('queue "emails" has 1 waiting job and no worker; start its app; if it runs, it has not')
    assert [
        hint for hint in ("lifespan", "first request", "nextmq register", "nextmq doctor") if hint not in line
    ] == []


async def test_a_queue_with_a_worker_is_not_warned_of(
    api: httpx.AsyncClient, service: Service, app: App, caplog: pytest.LogCaptureFixture
) -> None:
    await service.workers.register("emails", Registration.model_validate(app.registration()), replace=None)
    await api.post(JOBS, json={"name": "welcome"})
    assert warnings(caplog) == []


async def test_neither_key_nor_secret_is_in_the_log(
    api: httpx.AsyncClient, service: Service, project: Project, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.DEBUG)
    await service.workers.register("emails", worker(project), replace=None)
    await api.post(MISSPELLED_JOBS, json={"name": "welcome"})
    assert [text for text in (project.api_key, *project.webhook_secrets) if text in caplog.text] == []


async def test_a_queue_of_dead_letters_is_not_warned_of(
    api: httpx.AsyncClient, service: Service, project: Project, caplog: pytest.LogCaptureFixture
) -> None:
    await service.workers.register("emails", worker(project, options={"deadLetter": "letters"}), replace=None)
    await api.post("/v1/queues/letters/jobs", json={"name": "welcome"})
    assert warnings(caplog) == []


async def test_the_warning_says_if_the_queue_is_paused_too(
    api: httpx.AsyncClient, caplog: pytest.LogCaptureFixture
) -> None:
    await api.post("/v1/queues/emails/pause")
    await api.post(JOBS, json={"name": "welcome"})
    assert warnings(caplog)[0].startswith('queue "emails" has 1 waiting job and no worker, and is paused; ')
