"""Print how long GET …/why takes for jobs at the ends and in the middle of a queue of 100,000.

    python -m benchmarks.why [JOBS]

Prints the worst of the calls for each place in ms, in process: without a network, with routing and JSON.
"""

from __future__ import annotations

import asyncio
import logging
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

JOBS = 100_000
CALLS = 10
BATCH = 1000
GOAL = 100.0
"""How long the worst call may take, in ms."""


async def measure(url: str, count: int) -> dict[str, float]:
    """Return the worst time for each place, in ms."""
    project = new_project("bench")
    service = Service(project, url, egress=EgressRules.for_development())
    await service.start()
    try:
        for name, opts in (("waiting", {}), ("prioritized", {"priority": 3})):
            for first in range(0, count, BATCH):
                ids = [f"{name}-{number}" for number in range(first, min(first + BATCH, count))]
                new = [service.jobs.new("emails", "work", None, {**opts, "jobId": id}, now=1) for id in ids]
                await service.jobs.add(new)
        headers = {"authorization": f"Bearer {project.api_key}"}
        transport = httpx.ASGITransport(create_app(service))
        async with httpx.AsyncClient(transport=transport, base_url="http://server", headers=headers) as api:
            places = [f"{name}-{at}" for name in ("waiting", "prioritized") for at in (0, count // 2, count - 1)]
            return {place: max([await _call(api, place) for _ in range(CALLS)]) for place in places}
    finally:
        await service.stop(grace=0)


async def _call(api: httpx.AsyncClient, job: str) -> float:
    started_at = time.perf_counter()
    answer = await api.get(f"/v1/queues/emails/jobs/{job}/why")
    took = (time.perf_counter() - started_at) * 1000
    assert answer.json()["causes"][0]["code"] == "no_worker", answer.text
    return took


def main() -> int:
    """Print the figures; return 1 if the goal is missed."""
    logging.disable()  # a queue without a worker logs a warning
    count = int(sys.argv[1]) if len(sys.argv) > 1 else JOBS
    with tempfile.TemporaryDirectory() as folder:
        valkey = EmbeddedValkey(Path(folder), fsync="no")
        valkey.start()
        try:
            worst = asyncio.run(measure(valkey.url, count))
        finally:
            valkey.stop()
    for place, took in worst.items():
        print(f"why of {place}: worst {took:.1f} ms (goal {GOAL:.0f})")
    return int(max(worst.values()) > GOAL)


if __name__ == "__main__":
    sys.exit(main())
