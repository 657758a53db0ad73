"""GET /v1/overview and GET /v1/queues say how each queue stands, and why."""

from __future__ import annotations

import time
import typing as t

import httpx
import pytest

from nextmq_server.projects.projects import Project
from nextmq_server.service import Service
from tests.support.api import registration

if t.TYPE_CHECKING:
    pass

pytestmark = pytest.mark.anyio

QUEUE = "/v1/queues/emails"


class Stage(t.NamedTuple):
    api: httpx.AsyncClient
    service: Service
    project: Project

    async def add(self, queue: str = "emails", **opts: t.Any) -> None:
        body = {"name": "welcome", "opts": opts}
        (await self.api.post(f"/v1/queues/{queue}/jobs", json=body)).raise_for_status()

    async def register(self, queue: str = "emails", **options: t.Any) -> None:
        body = registration(self.project, options=options)
        (await self.api.put(f"/v1/queues/{queue}/worker", json=body)).raise_for_status()

    async def redis(self, *command: str | int) -> t.Any:
        return await self.service.jobs.scripts("emails").connection.execute(*command)

    async def hold(self, **changes: t.Any) -> None:
        now = round(time.time() * 1000)
        hold = {"kind": "unreachable", "since": now - 90_000, "until": now + 60_500, "count": 1, **changes}
        key = self.service.jobs.scripts("emails").own_key("hold")
        await self.redis("HSET", key, *[part for field in hold.items() for part in field], "detail", "no route")


async def idle(stage: Stage) -> None:
    await stage.add(delay=3_600_000)


async def paused(stage: Stage) -> None:
    await stage.add()
    (await stage.api.post(f"{QUEUE}/pause")).raise_for_status()


async def held(stage: Stage) -> None:
    await stage.hold()


async def disabled(stage: Stage) -> None:
    await stage.hold(kind="disabled")


async def misspelt(stage: Stage) -> None:
    await stage.register("email")
    await stage.add()


async def dead_letters(stage: Stage) -> None:
    await stage.register("orders", deadLetter="emails")
    await stage.add()


async def read_by_nobody(stage: Stage) -> None:
    await stage.add()
    scripts = stage.service.jobs.scripts("emails")
    await stage.redis("DEL", scripts.keys["meta"])
    await stage.redis("SET", scripts.keys["meta"], "not a hash")


async def rate_limited(stage: Stage) -> None:
    (await stage.api.put(f"{QUEUE}/rate-limited", json={"duration": 60_900})).raise_for_status()
    await stage.register()
    await stage.add()


async def stuck(stage: Stage) -> None:
    # The server of this queue is gone, which only the time that its job waits can tell.
    await stage.register()
    stage.service.workers._hub.pause("emails")
    await stage.add(timestamp=round(time.time() * 1000) - 90_000)


STATES: dict[str, tuple[t.Callable[[Stage], t.Awaitable[None]], str | None]] = {
    "idle": (idle, None),
    "paused": (paused, "1 job until it is resumed"),
    "held": (held, "unreachable: no route, next try in 60 s"),
    "disabled": (disabled, "no route"),
    "no_worker": (misspelt, '1 job waits and no app has registered; did you mean "email"?'),
    "dead_letters": (dead_letters, "1 dead letter of orders"),
    "rate_limited": (rate_limited, "the next job starts in 60 s"),
    "stuck": (stuck, "the next job has waited for 90 s though there is room for it"),
    "unknown": (read_by_nobody, "Redis could not read its keys: does another program use the same names?"),
}


@pytest.mark.parametrize("state", STATES)
async def test_the_overview_and_the_queue_name_the_same_state_and_cause(
    api: httpx.AsyncClient, service: Service, project: Project, state: str
) -> None:
    prepare, cause = STATES[state]
    await service.queues.pause("emails")
    await service.queues.resume("emails")
    await service._directory.note({"emails"})
    await prepare(Stage(api, service, project))
    rows = (await api.get("/v1/overview")).raise_for_status().json()["queues"]
    [row] = [row for row in rows if row["name"] == "emails"]
    queue = (await api.get(QUEUE)).raise_for_status().json()
    assert (row["state"], row["cause"]) == (queue["state"], queue["cause"]) == (state, cause)
    assert row["nearest"] == queue["nearest"] == ("email" if state == "no_worker" else None)
