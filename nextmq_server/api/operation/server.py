"""GET /v1/server: the server's processes, its Redis and the project's quota."""

from __future__ import annotations

import typing as t

from nextmq_handler.rules.models import Closed

from ..http.request import Authorized, router

routes = router("/v1/server", "project")


class ProcessView(Closed):
    """A server process that runs the project's queues. `age` is how old, in ms, this is; `loopDelay` is ms.

    `startedAt` is ms since the epoch. `inFlight` counts the deliveries of all projects.
    """

    id: str
    version: str
    age: int
    startedAt: int
    isDraining: bool
    inFlight: int
    maxInFlight: int
    loopDelay: float


class RedisView(Closed):
    """The Redis of the server. Memory is bytes, `roundTrip` ms; null for what Redis does not tell or limit."""

    version: str | None
    kind: t.Literal["redis", "valkey"]
    usedMemory: int
    maxMemory: int | None
    memoryRatio: float | None
    evictionPolicy: str | None
    persistence: str | None
    roundTrip: float
    connections: int
    role: str | None


class QuotaView(Closed):
    """What the project uses, about, and its limits; null for no limit."""

    jobs: int
    maxJobs: int | None
    bytes: int
    maxBytes: int | None


class ServerView(Closed):
    """The server as the project sees it. `at` is ms since the epoch; the process that answers is first."""

    version: str
    project: str
    at: int
    processes: list[ProcessView]
    redis: RedisView
    quota: QuotaView | None


@routes.get("")
async def get_server(service: Authorized) -> ServerView:
    """Show the server's processes, its Redis, and the quota of the project."""
    return ServerView.model_validate(await service.server.view())
