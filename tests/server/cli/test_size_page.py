"""The page about memory, disk and quotas: its numbers are measured, its claims about removed projects tried."""

from __future__ import annotations

import re

import pytest

from nextmq_server.dispatch.egress.rules import EgressRules
from nextmq_server.embedded import EmbeddedValkey
from nextmq_server.projects.projects import Project, new_project
from nextmq_server.service import Service
from nextmq_server.workers.registration import Registration
from tests.docs.pages import ROOT

from ..conftest import App, WaitUntil

pytestmark = pytest.mark.anyio

PAGE = ROOT / "docs" / "how-to" / "size.md"
COUNT = 400
DATA = "x" * 1000
NEAR = 0.3
"""How far, as a share, the page's round numbers may be from what is measured."""


def told(row: str) -> int:
    """Return the number of bytes in a row of the page's table."""
    found = re.search(rf"^\| {row}.* \| (\d+)", PAGE.read_text(), re.MULTILINE)
    assert found is not None, row
    return int(found[1])


async def used(service: Service) -> int:
    """Return the memory of the project's job keys, in bytes, without the queue's events."""
    execute = service._hub.connection.execute
    keys = await execute("KEYS", f"{service.project.prefix}:emails:*")
    kept = [key for key in keys if not key.endswith((":events", ":marker"))]
    return sum([int(await execute("MEMORY", "USAGE", key, "SAMPLES", 0) or 0) for key in kept])


async def served(project: Project, url: str) -> Service:
    service = Service(project, url, egress=EgressRules.for_development())
    await service.start()
    return service


async def add(service: Service, count: int = 1) -> list[str]:
    jobs = [service.jobs.new("emails", "welcome", DATA, {}, now=1_790_000_000_000) for _ in range(count)]
    return [added.id for added in await service.add(jobs)]


async def register(service: Service, app: App) -> None:
    await service.workers.register(
        "emails", Registration.model_validate(app.registration(options={"concurrency": 20})), replace=None
    )


async def has(service: Service, state: str, count: int) -> bool:
    return (await service.queues.counts("emails"))[state] == count


async def test_jobs_take_the_memory_that_the_page_tells(service: Service, app: App, wait_until: WaitUntil) -> None:
    await add(service, COUNT)
    waiting = await used(service) / COUNT - len(DATA)
    await register(service, app)
    await wait_until(lambda: has(service, "completed", COUNT))
    completed = await used(service) / COUNT - len(DATA)
    measured = [waiting, completed]
    assert [told("a job that waits"), told("a job that has completed")] == pytest.approx(measured, rel=NEAR)


async def test_a_project_that_is_added_again_goes_on(
    valkey: EmbeddedValkey, project: Project, app: App, wait_until: WaitUntil
) -> None:
    first = await served(project, valkey.url)
    await register(first, app)
    await first.queues.pause("emails")
    await add(first)
    await first.stop(grace=0)
    again = await served(project, valkey.url)
    await again.queues.resume("emails")
    await wait_until(lambda: has(again, "completed", 1))
    await again.stop(grace=0)


async def test_another_project_with_the_prefix_has_the_jobs_and_no_registration(
    valkey: EmbeddedValkey, project: Project, app: App
) -> None:
    first = await served(project, valkey.url)
    await register(first, app)
    await first.queues.pause("emails")
    await add(first)
    await first.stop(grace=0)
    new = new_project(f"{project.name}-new")
    other = await served(Project(new.name, new.api_keys, new.webhook_secrets, prefix=project.prefix), valkey.url)
    seen = (await has(other, "waiting", 1), other.registry.get("emails"))
    await other.stop(grace=0)
    assert seen == (True, None)
