"""The metrics of one server process: of all its projects, or of one."""

from __future__ import annotations

import asyncio
import time
import typing as t
from collections import Counter

from ..redis.connection import ConnectionLost, RedisError
from ..service import Service
from .gauges import QueueGauges, RedisGauges, read_queues, read_redis
from .loop_lag import LoopLag
from .requests import RequestKey

CACHE_TIME = 5.0
"""How long, in s, an answer is given again: callers cannot make Redis and this process work more often."""

READ_TIMEOUT = 5.0
"""How long, in s, a scrape waits for Redis. Without its answer it shows what the process knows."""

T = t.TypeVar("T")


class ProcessMetrics:
    """Collects the metrics of one process."""

    def __init__(self) -> None:
        self.requests: Counter[RequestKey] = Counter()
        self.loop_lag = LoopLag()
        self._answers: dict[str | None, tuple[float, bytes]] = {}
        self._lock = asyncio.Lock()

    async def of_project(self, service: Service) -> bytes:
        """Return the metrics of the service's project."""
        return await self._text([service], service.project.name)

    async def of_all(self, services: t.Sequence[Service]) -> bytes:
        """Return the metrics of all projects, which `services` run."""
        return await self._text(services, None)

    async def _text(self, services: t.Sequence[Service], name: str | None) -> bytes:
        async with self._lock:  # one after the other: each takes memory and time
            at, text = self._answers.get(name, (-CACHE_TIME, b""))
            if time.monotonic() - at >= CACHE_TIME:
                text = await self._render(services, name)
                self._answers[name] = time.monotonic(), text
            return text

    async def _render(self, services: t.Sequence[Service], name: str | None) -> bytes:
        from .exposition import ProjectSnapshot, Snapshot, render  # prometheus_client is only for those who scrape

        projects: list[ProjectSnapshot] = []
        redis: RedisGauges | None = await _answer(read_redis(services[0])) if services else None
        for service in services:
            queues: dict[str, QueueGauges] | None = await _answer(read_queues(service)) if redis else None
            projects.append(ProjectSnapshot(service.project.name, service.counts, queues))
        requests = Counter(
            {key: count for key, count in self.requests.items() if name is None or key.project == name}
        )
        snapshot = Snapshot(projects, requests, redis, self.loop_lag.worst)
        return await asyncio.to_thread(render, snapshot.frozen())


async def _answer(reading: t.Coroutine[t.Any, t.Any, T]) -> T | None:
    try:
        async with asyncio.timeout(READ_TIMEOUT):
            return await reading
    except (RedisError, ConnectionLost, TimeoutError):
        return None
