"""Several server processes on one Redis: what is registered through one is known to the others."""

from __future__ import annotations

import asyncio
import typing as t

import pytest

from nextmq_server.dispatch.egress.rules import EgressRules
from nextmq_server.embedded import EmbeddedValkey
from nextmq_server.projects.projects import Project
from nextmq_server.redis.address import Address
from nextmq_server.redis.connection import RedisConnection, RedisError
from nextmq_server.redis.keys import ProjectKeys
from nextmq_server.service import Service
from nextmq_server.workers import registry as registry_module
from nextmq_server.workers.registration import Registration
from nextmq_server.workers.registry import Registry, WorkerConflict
from tests.support.api import registration

if t.TYPE_CHECKING:
    from ..conftest import App, WaitUntil

pytestmark = pytest.mark.anyio


@pytest.fixture(autouse=True)
def _quick_polls(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(registry_module, "POLL_INTERVAL", 0.01)


@pytest.fixture
async def other(service: Service, valkey: EmbeddedValkey, project: Project) -> t.AsyncIterator[Service]:
    """Run a second server of the same project."""
    other = Service(project, valkey.url, egress=EgressRules.for_development())
    await other.start()
    yield other
    await other.stop(grace=0)


@pytest.fixture
async def registries(valkey: EmbeddedValkey, project: Project) -> t.AsyncIterator[tuple[Registry, Registry]]:
    """Return the registries of two servers, which do not follow each other by themselves."""
    connections = [RedisConnection(Address(valkey.url), name="test") for _ in range(2)]
    for connection in connections:
        await connection.connect()
    yield Registry(connections[0], ProjectKeys(project.name)), Registry(connections[1], ProjectKeys(project.name))
    for connection in connections:
        await connection.close()


def worker(project: Project, **changes: t.Any) -> Registration:
    return Registration.model_validate(registration(project, **changes))


async def test_a_worker_registered_through_one_gets_its_jobs_from_the_other(
    service: Service, other: Service, app: App, wait_until: WaitUntil
) -> None:
    await service.workers.register("emails", Registration.model_validate(app.registration()), replace=None)
    await wait_until(lambda: other.registry.get("emails"))
    await service.stop(grace=0)
    await other.add([other.jobs.new("emails", "welcome", None, {}, now=0)])
    await wait_until(lambda: app.deliveries)


async def test_after_a_worker_left_through_one_the_other_fetches_no_more(
    service: Service, other: Service, app: App, wait_until: WaitUntil
) -> None:
    await service.workers.register("emails", Registration.model_validate(app.registration()), replace=None)
    await wait_until(lambda: other.registry.get("emails"))
    await service.workers.unregister("emails")
    await wait_until(lambda: other.registry.get("emails") is None)
    await service.stop(grace=0)
    await other.add([other.jobs.new("emails", "welcome", None, {}, now=0)])
    await other.workers.register("reports", Registration.model_validate(app.registration()), replace=None)
    [sentinel] = await other.add([other.jobs.new("reports", "sentinel", None, {}, now=0)])
    await wait_until(lambda: app.deliveries)
    assert [delivery["job"]["id"] for delivery in app.deliveries] == [sentinel.id]


async def test_a_worker_that_left_and_came_back_through_one_is_served_by_the_other(
    service: Service, other: Service, app: App, wait_until: WaitUntil
) -> None:
    held = await service.workers.register("emails", Registration.model_validate(app.registration()), replace=None)
    await wait_until(lambda: other.registry.get("emails"))
    await service.workers.unregister("emails")
    await wait_until(lambda: other.registry.get("emails") is None)
    await service.workers.register("emails", held, replace=None)
    await wait_until(lambda: other.registry.get("emails"))
    await service.stop(grace=0)
    await other.add([other.jobs.new("emails", "welcome", None, {}, now=0)])
    await wait_until(lambda: app.deliveries)


async def test_options_changed_through_one_hold_in_the_other(
    service: Service, other: Service, project: Project, wait_until: WaitUntil
) -> None:
    first = await service.workers.register("emails", worker(project), replace=None)
    await wait_until(lambda: other.registry.get("emails"))
    await service.workers.register(
        "emails", worker(project, options={"concurrency": 7}), replace=first.fingerprint
    )
    await wait_until(lambda: _concurrency(other) == 7)


async def test_a_worker_seen_again_through_one_was_seen_by_the_other(
    registries: tuple[Registry, Registry], project: Project
) -> None:
    one, two = registries
    await one.put("emails", worker(project), replace=False)
    await two.load()
    await one.put("emails", worker(project), replace=False)
    await two.refresh()
    assert two.get("emails") == one.get("emails")


async def test_a_conflict_with_what_another_server_holds_is_found_at_once(
    registries: tuple[Registry, Registry], project: Project
) -> None:
    one, two = registries
    await one.put("emails", worker(project), replace=False)
    with pytest.raises(WorkerConflict):
        await two.put("emails", worker(project, url="https://other.example/queues/emails"), replace=False)


async def test_of_different_registrations_at_the_same_time_one_is_taken(
    registries: tuple[Registry, Registry], project: Project
) -> None:
    puts = [
        registries[number % 2].put("emails", worker(project, url=f"https://{number}.example"), replace=False)
        for number in range(10)
    ]
    answers = await asyncio.gather(*puts, return_exceptions=True)
    assert sorted(str(answer) for answer in answers) == ["True", *["url"] * 9]


async def test_what_another_server_removed_is_removed_once(
    registries: tuple[Registry, Registry], project: Project
) -> None:
    one, two = registries
    await one.put("emails", worker(project), replace=False)
    await two.load()
    assert [await one.delete("emails"), await two.delete("emails")] == [True, False]


async def test_what_a_server_registered_itself_is_no_news_to_it(
    registries: tuple[Registry, Registry], project: Project
) -> None:
    one, _ = registries
    await one.put("emails", worker(project), replace=False)
    assert await one.refresh() == {}


async def test_the_news_of_another_server_come_with_what_was_held_before(
    registries: tuple[Registry, Registry], project: Project
) -> None:
    one, two = registries
    await one.put("emails", worker(project), replace=False)
    await two.load()
    held = two.get("emails")
    await one.put("reports", worker(project), replace=False)
    await one.delete("emails")
    assert await two.refresh() == {"emails": held, "reports": None}


async def test_news_that_could_not_be_applied_are_applied_again(
    registries: tuple[Registry, Registry], project: Project, wait_until: WaitUntil
) -> None:
    one, two = registries
    await two.load()
    calls: list[tuple[str, Registration | None]] = []

    async def apply(queue: str, before: Registration | None) -> None:
        calls.append((queue, before))
        if len(calls) == 1:
            raise RedisError("OOM command not allowed")

    following = asyncio.create_task(two.follow(apply))
    await one.put("emails", worker(project), replace=False)
    await wait_until(lambda: len(calls) == 2)
    following.cancel()
    assert calls == [("emails", None), ("emails", None)]


def _concurrency(service: Service) -> int | None:
    """Return with which concurrency the server runs the queue; None if it does not run it (yet)."""
    queue = service._hub.queues.get("emails")
    return None if queue is None else queue.options.concurrency
