"""Print how long GET /v1/overview takes for 1,001 queues, each with jobs, a limit and a last delivery.

    python -m benchmarks.overview [QUEUES]

Prints the median and the worst of the calls in ms, in process: without a network, with routing and JSON.
"""

from __future__ import annotations

import asyncio
import logging
import statistics
import sys
import tempfile
import time
from pathlib import Path

import httpx

from nextmq_server.api.app import create_app
from nextmq_server.dispatch.egress.rules import EgressRules
from nextmq_server.embedded import EmbeddedValkey
from nextmq_server.projects.projects import new_project
from nextmq_server.service import Service

QUEUES = 1001
CALLS = 15
GOAL = 60.0
"""How long the median call may take, in ms."""


async def measure(url: str, queues: int) -> list[float]:
    """Return how long each call took, in ms."""
    project = new_project("bench")
    service = Service(project, url, egress=EgressRules.for_development())
    await service.start()
    try:
        await _fill(service, queues)
        headers = {"authorization": f"Bearer {project.api_key}"}
        transport = httpx.ASGITransport(create_app(service))
        async with httpx.AsyncClient(transport=transport, base_url="http://server", headers=headers) as api:
            return [await _call(api, queues) for _ in range(CALLS)]
    finally:
        await service.stop(grace=0)


async def _fill(service: Service, queues: int) -> None:
    now = round(time.time() * 1000)
    names = [f"queue-{number:04}" for number in range(queues)]
    for name in names:
        opts = [{}, {"priority": 3}, {"delay": 3_600_000}]
        await service.add([service.jobs.new(name, "work", {"n": 1}, each, now=now) for each in opts])
    execute = service.jobs.scripts(names[0]).connection.execute
    for name in names:
        prefix = service.jobs.scripts(name).keys[""]
        for state in ("completed", "failed"):
            await execute("HSET", f"{prefix}metrics:{state}", "count", 700, "prevTS", now, "prevCount", 600)
            await execute("RPUSH", f"{prefix}metrics:{state}:data", *[10] * 60)
        last = '{"at":1790000000000,"status":200,"ms":12,"outcome":"completed"}'
        await execute("HSET", service.keys("last-deliveries"), name, last)


async def _call(api: httpx.AsyncClient, queues: int) -> float:
    started_at = time.perf_counter()
    answer = await api.get("/v1/overview")
    took = (time.perf_counter() - started_at) * 1000
    assert len(answer.json()["queues"]) == queues
    return took


def main() -> int:
    """Print the figures; return 1 if the goal is missed."""
    logging.disable()  # each queue without a worker logs a warning
    queues = int(sys.argv[1]) if len(sys.argv) > 1 else QUEUES
    with tempfile.TemporaryDirectory() as folder:
        valkey = EmbeddedValkey(Path(folder), fsync="no")
        valkey.start()
        try:
            took = asyncio.run(measure(valkey.url, queues))
        finally:
            valkey.stop()
    median = statistics.median(took)
    print(
        f"GET /v1/overview of {queues} queues: median {median:.1f} ms, worst {max(took):.1f} ms (goal {GOAL:.0f})"
    )
    return int(median > GOAL)


if __name__ == "__main__":
    sys.exit(main())
