"""Queues as the API shows them, many at a time."""

from __future__ import annotations

import typing as t
from collections import defaultdict

from nextmq_handler.rules.views import queue_view

from ..engine.queues.overview import QueueLook, QueueLooks
from ..engine.worker.hub import Hub
from ..workers.registry import Registry
from .last_deliveries import LastDeliveries, read_last_delivery
from .node_workers import NodeWorkers
from .states import Standing, Surroundings, standing_of

NEAREST_PER_LOOK = 20
"""For how many queues without a worker one look finds the name that was perhaps meant, beside those it knows."""


class Overview:
    """Looks at the queues of one project. Each call raises RedisError or ConnectionLost."""

    def __init__(self, hub: Hub, registry: Registry, node_workers: NodeWorkers, last: LastDeliveries) -> None:
        self._looks = QueueLooks(hub.scripts, hub.prefix, last.key)
        self._connection = hub.connection
        self._registry = registry
        self._node_workers = node_workers
        self._nearest: dict[str, str | None] = {}
        self._compared: set[str] = set()

    async def now(self) -> int:
        """Return the time of Redis in ms since the epoch."""
        seconds, micros = await self._connection.execute("TIME")
        return int(seconds) * 1000 + int(micros) // 1000

    async def looks(self, queues: t.Sequence[str]) -> list[QueueLook | None]:
        """Return what each queue holds; None for one that cannot be read."""
        return await self._looks.look(queues)

    async def rows(self, queues: t.Sequence[str]) -> list[dict[str, t.Any]]:
        """Return a row of the overview for each queue."""
        return [_row(queue, look, around) for queue, look, around in await self._look(queues)]

    async def views(self, queues: t.Sequence[str]) -> list[dict[str, t.Any]]:
        """Return each queue with its limits, its hold and its worker."""
        return [self._view(*each) for each in await self._look(queues)]

    async def _look(self, queues: t.Sequence[str]) -> list[tuple[str, QueueLook | None, Surroundings]]:
        looks = await self._looks.look(queues)
        node_workers = await self._node_workers.counts()
        registrations = self._registry.all()
        if registrations.keys() != self._compared:
            self._nearest, self._compared = {}, set(registrations)
        left = len(self._nearest) + NEAREST_PER_LOOK
        sources: dict[str, list[str]] = defaultdict(list)
        for queue, registration in registrations.items():
            if registration.options.dead_letter is not None:
                sources[registration.options.dead_letter].append(queue)
        return [
            (
                queue,
                look,
                Surroundings(
                    has_worker=queue in registrations,
                    node_workers=node_workers.get(queue, 0),
                    dead_letters_of=sorted(sources.get(queue, [])),
                    nearest=self._near(queue, look, left) if queue not in registrations else None,
                ),
            )
            for queue, look in zip(queues, looks, strict=True)
        ]

    def _near(self, queue: str, look: QueueLook | None, most: int) -> str | None:
        """Return the queue that was perhaps meant, if this one has jobs and fewer than `most` are known."""
        has_jobs = look is not None and (look.waiting or look.counts["delayed"])
        if not has_jobs or not self._compared:
            return None
        if queue not in self._nearest and len(self._nearest) < most:
            self._nearest[queue] = self._registry.nearest(queue)
        return self._nearest.get(queue)

    def _view(self, queue: str, look: QueueLook | None, around: Surroundings) -> dict[str, t.Any]:
        worker = self._registry.get(queue)
        hold = look.hold if look else None
        shown = queue_view(
            name=queue,
            is_paused=look.is_paused if look else False,
            counts=look.counts if look else {},
            global_concurrency=look.global_concurrency if look else None,
            worker_concurrency=worker.options.concurrency if worker else None,
            rate_limit=look.rate_limit if look else None,
            rate_limit_ttl=look.rest_left if look else 0,
            hold=hold and {"kind": hold.kind, "since": hold.since, "until": hold.until, "detail": hold.detail},
            worker=worker.view() if worker else None,
        )
        return shown | _members(look, around, standing_of(look, around))


def _row(queue: str, look: QueueLook | None, around: Surroundings) -> dict[str, t.Any]:
    standing = standing_of(look, around)
    return {
        "name": queue,
        **_members(look, around, standing),
        "since": standing.since,
        "counts": look.counts if look else {},
        "isPaused": look.is_paused if look else False,
        "workers": around.node_workers,
        "failedLastHour": look.failed_last_hour if look else 0,
        "completedLastHour": look.completed_last_hour if look else 0,
    }


def _members(look: QueueLook | None, around: Surroundings, standing: Standing) -> dict[str, t.Any]:
    """Return what both a row and a queue show of its state."""
    oldest = look.now - look.oldest if look and look.oldest else None
    return {
        "state": standing.state,
        "cause": standing.cause,
        "nearest": around.nearest if standing.state == "no_worker" else None,
        "oldestWaiting": oldest if oldest is None else max(0, oldest),
        "lastDelivery": read_last_delivery(look.last_delivery) if look else None,
        "deadLettersOf": around.dead_letters_of,
    }
