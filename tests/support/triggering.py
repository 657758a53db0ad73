"""Triggers for the tests: a receiver that records its requests, and the body that creates a trigger."""

from __future__ import annotations

import asyncio
import json
import typing as t

import httpx
import standardwebhooks
from aiohttp import web

from nextmq_server.service import Service
from nextmq_server.triggers.schedules import QUEUE
from tests.support.api import send

if t.TYPE_CHECKING:
    from ..server.conftest import Serve, WaitUntil

TRIGGERS = "/v1/triggers"
PAYLOAD = {"report": "é😀", "days": [1, 2.5, None]}
HOUR = 3_600_000


class Received(t.NamedTuple):
    """A request as received."""

    method: str
    path: str
    headers: dict[str, str]
    body: bytes


class Receiver:
    """A receiver at `url` that answers with each of `statuses` once, and then the last one again and again."""

    def __init__(self) -> None:
        self.url = ""
        self.received: list[Received] = []
        self.statuses = [204]
        self.gate = asyncio.Event()
        self.gate.set()

    async def handle(self, request: web.Request) -> web.StreamResponse:
        headers = {name.lower(): value for name, value in request.headers.items()}
        self.received.append(Received(request.method, request.path_qs, headers, await request.read()))
        status = self.statuses.pop(0) if len(self.statuses) > 1 else self.statuses[0]
        await self.gate.wait()
        return web.Response(status=status, headers={"location": self.url} if 300 <= status < 400 else {})


class Triggering:
    """A client of the API's triggers, with a receiver for them."""

    def __init__(self, api: httpx.AsyncClient, receiver: Receiver, wait_until: WaitUntil) -> None:
        self.api = api
        self.receiver = receiver
        self._until = wait_until

    @classmethod
    async def open(cls, api: httpx.AsyncClient, serve: Serve, wait_until: WaitUntil) -> t.Self:
        receiver = Receiver()
        receiver.url = await serve(receiver.handle) + "/hooks?of=a"
        return cls(api, receiver, wait_until)

    async def create(self, **changes: t.Any) -> dict[str, t.Any]:
        answer = await send(self.api, "POST", TRIGGERS, trigger(self.receiver.url) | changes)
        assert answer.status_code == 201, answer.text
        return t.cast("dict[str, t.Any]", answer.json())

    async def fired(self, **changes: t.Any) -> dict[str, t.Any]:
        """Create and fire a trigger; wait for its request."""
        created = await self.create(**changes)
        await self.post(created["id"], "fire")
        await self._until(lambda: self.receiver.received)
        return created

    async def last_run(self, trigger_id: str, count: int = 1) -> dict[str, t.Any]:
        """Wait until a trigger has run `count` times; return the last run."""

        async def has_run() -> bool:
            return len(await self.runs(trigger_id)) >= count

        await self._until(has_run)
        return t.cast("dict[str, t.Any]", (await self.get(trigger_id))["lastRun"])

    async def post(self, trigger_id: str, action: str) -> dict[str, t.Any]:
        answer = await self.api.post(f"{TRIGGERS}/{trigger_id}/{action}")
        assert answer.status_code == 200, answer.text
        return t.cast("dict[str, t.Any]", answer.json())

    async def get(self, trigger_id: str) -> dict[str, t.Any]:
        answer = await self.api.get(f"{TRIGGERS}/{trigger_id}")
        assert answer.status_code == 200, answer.text
        return t.cast("dict[str, t.Any]", answer.json())

    async def runs(self, trigger_id: str) -> list[dict[str, t.Any]]:
        answer = await self.api.get(f"{TRIGGERS}/{trigger_id}/runs")
        assert answer.status_code == 200, answer.text
        return t.cast("list[dict[str, t.Any]]", answer.json()["runs"])

    async def delete(self, trigger_id: str) -> None:
        answer = await self.api.delete(f"{TRIGGERS}/{trigger_id}")
        assert answer.status_code == 200, answer.text


def trigger(url: str, **changes: t.Any) -> dict[str, t.Any]:
    """Return the body that creates a trigger. Its schedule does not run within a test."""
    return {"url": url, "payload": PAYLOAD, "repeat": {"every": HOUR}, **changes}


def verify(secret: str, received: Received) -> t.Any:
    """Return the JSON of a request whose signature the Standard Webhooks library accepts."""
    standardwebhooks.Webhook(secret).verify(received.body.decode(), received.headers, json_parse=False)
    return json.loads(received.body)


async def redis(service: Service, *command: str | int) -> t.Any:
    return await service.jobs.scripts(QUEUE).connection.execute(*command)


async def is_done(service: Service) -> bool:
    """Return whether no job of a trigger runs or waits any more."""
    counts = await service.queues.counts(QUEUE)
    return not (counts["active"] or counts["waiting"])


async def add_due_job(service: Service, trigger_id: str) -> None:
    """Add a job as the trigger's scheduler does."""
    opts = {"removeOnComplete": True, "removeOnFail": True}
    await service.jobs.add([service.jobs.new(QUEUE, "due", {"trigger": trigger_id}, opts, now=1)])
