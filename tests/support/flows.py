"""What the tests of flows share: trees, and how much of them Redis has."""

from __future__ import annotations

import typing as t

from nextmq_server.service import Service

FLOWS = "/v1/flows"


def node(name: str, *children: dict[str, t.Any], queue: str = "emails", **opts: t.Any) -> dict[str, t.Any]:
    return {"name": name, "queueName": queue, "opts": opts, "children": list(children)}


def chain(depth: int) -> dict[str, t.Any]:
    """One job below the other."""
    flow = node("job")
    for _ in range(depth - 1):
        flow = node("job", flow)
    return flow


async def job_count(service: Service) -> int:
    """How many jobs and parts of queues the project has in Redis."""
    keys = await service.jobs.scripts("emails").connection.execute("KEYS", f"{service.project.prefix}:*")
    return len(t.cast("list[str]", keys))
