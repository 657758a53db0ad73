"""A real Valkey fills up: jobs stop coming in before it refuses a write, so those that are there get done."""

from __future__ import annotations

import typing as t
from contextlib import suppress

import httpx
import pytest

from nextmq_server.dispatch.egress.rules import EgressRules
from nextmq_server.redis import storage
from nextmq_server.redis.connection import RedisError
from nextmq_server.service import Service
from tests.support.api import COUNTS, JOBS, WORKER, refusal
from tests.support.rest_api import rest_api

if t.TYPE_CHECKING:
    from nextmq_server.embedded import EmbeddedValkey
    from nextmq_server.projects.projects import Project

    from ..conftest import App, WaitUntil

pytestmark = pytest.mark.anyio

SHELF = "/v1/queues/shelf"
"""A queue without a worker: what is added to it stays."""

ROOM = 10_000_000
JOB = {"name": "large", "data": "x" * 100_000}


class Full:
    """A server whose Valkey was filled through the API, while jobs of an app were running and waiting."""

    def __init__(self, api: httpx.AsyncClient, service: Service, app: App) -> None:
        self.api = api
        self.app = app
        self.refused: httpx.Response | None = None
        self._redis = service.jobs.scripts("emails").connection

    async def fill(self) -> None:
        """Leave `ROOM` bytes, then add until the server says no, which looks at the memory by itself."""
        used = int((await self._redis.execute("INFO", "memory")).partition("used_memory:")[2].split()[0])
        await self._redis.execute("CONFIG", "SET", "maxmemory", used + ROOM)
        for _ in range(2 * ROOM // 100_000):
            answer = await self.api.post(f"{SHELF}/jobs", json=JOB)
            if answer.is_error:
                self.refused = answer
                return

    async def writes_refused(self) -> bool:
        """Whether Valkey has refused a write for want of memory."""
        return "errorstat_OOM" in await self._redis.execute("INFO", "errorstats")

    async def use_up(self) -> None:
        """Fill what the server left, past Valkey's own limit."""
        with suppress(RedisError):
            for number in range(ROOM // 100_000):
                await self._redis.execute("SET", f"filler{number}", "x" * 100_000)


@pytest.fixture
async def full(
    own_valkey: EmbeddedValkey, project: Project, app: App, wait_until: WaitUntil, monkeypatch: pytest.MonkeyPatch
) -> t.AsyncIterator[Full]:
    """Five jobs run and five wait; then Valkey is full."""
    monkeypatch.setattr(storage, "INTERVAL", 0.005)  # adds are quick here: the rest is full in less than a second
    service = Service(project, own_valkey.url, egress=EgressRules.for_development())
    await service.start()
    async with httpx.AsyncClient(
        transport=httpx.ASGITransport(rest_api(service)),
        base_url="http://server.example",
        headers={"authorization": f"Bearer {project.api_key}"},
    ) as api:
        app.gate.clear()
        await api.put(WORKER, json=app.registration(options={"concurrency": 5}))
        for _ in range(10):
            await api.post(JOBS, json={"name": "welcome"})
        await wait_until(lambda: len(app.deliveries) == 5)
        made = Full(api, service, app)
        await made.fill()
        yield made
        app.gate.set()
    await service.stop(grace=0)


async def test_adding_is_refused_before_valkey_refuses_a_write(full: Full) -> None:
    assert full.refused is not None
    assert (refusal(full.refused), await full.writes_refused()) == ((503, "storage_full"), False)


async def test_jobs_that_run_and_wait_are_completed_meanwhile(full: Full, wait_until: WaitUntil) -> None:
    full.app.gate.set()

    async def are_completed() -> bool:
        return bool((await full.api.get(COUNTS)).json()["completed"] == 10)

    await wait_until(are_completed)
    assert (refusal(await full.api.post(JOBS, json=JOB)), await full.writes_refused()) == (
        (503, "storage_full"),
        False,
    )


async def test_jobs_are_taken_again_once_memory_is_free(full: Full, wait_until: WaitUntil) -> None:
    await full.api.post(f"{SHELF}/drain", json={"delayed": False})

    async def is_taken() -> bool:
        return (await full.api.post(JOBS, json={"name": "welcome"})).status_code == 201

    await wait_until(is_taken)


async def test_what_valkey_itself_refuses_has_the_same_code(full: Full, monkeypatch: pytest.MonkeyPatch) -> None:
    await full.use_up()
    monkeypatch.setattr(storage, "FREE_AT", 100.0)  # as if the server had not looked yet
    monkeypatch.setattr(storage, "FULL_AT", 100.0)
    answer = await full.api.post(f"{SHELF}/jobs", json=JOB)
    assert (refusal(answer), await full.writes_refused()) == ((503, "storage_full"), True)
