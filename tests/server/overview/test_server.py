"""GET /v1/server shows every process that runs the project's queues, and the Redis that they share."""

from __future__ import annotations

import httpx
import pytest

from nextmq_server.embedded import EmbeddedValkey
from nextmq_server.engine.worker.slots import Slots
from nextmq_server.projects.projects import Project
from nextmq_server.quota import QuotaLimits
from nextmq_server.service import Service

pytestmark = pytest.mark.anyio


async def test_each_process_is_shown_with_the_age_of_what_it_published(
    api: httpx.AsyncClient, valkey: EmbeddedValkey, project: Project
) -> None:
    other = Service(project, valkey.url, slots=Slots(7), quota=QuotaLimits(jobs=5))
    await other.start()
    try:
        shown = (await api.get("/v1/server")).raise_for_status().json()
    finally:
        await other.stop(grace=0)
    own, seen = shown["processes"]
    assert (own["age"], own["maxInFlight"], own["isDraining"]) == (0, 1000, False)
    assert (seen["maxInFlight"], seen["inFlight"], 0 <= seen["age"] < 10_000) == (7, 0, True)
    assert [one["id"] for one in (await api.get("/v1/server")).json()["processes"]] == [own["id"]]


async def test_the_redis_is_shown(api: httpx.AsyncClient) -> None:
    redis = (await api.get("/v1/server")).json()["redis"]
    assert (redis["kind"], redis["role"], redis["evictionPolicy"]) == ("valkey", "master", "noeviction")
    assert redis["usedMemory"] > 0
    assert redis["persistence"] == "append-only file"
