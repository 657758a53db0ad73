"""The demo: an app with its queues on a service, brought into every state."""

from __future__ import annotations

import asyncio
import contextlib
import typing as t

from nextmq_handler import Worker, create_nextmq_handler
from nextmq_handler.errors import NextMQError

from ..service import Service
from ..serving import HTTPServer, base_url, listen
from ..tasks import end_tasks
from ..timers import now_ms
from . import app
from .history import fill_minutes, move_into_past
from .traffic import BAD_ADDRESSES, DECLINED, DONE, FIRST_EMAIL, UNSUBSCRIBED, WAITING, Traffic

SEED = 1
"""What everything that looks random comes from."""

BUILD_TIMEOUT = 60.0
"""How long, in s, the jobs of the demo may take until each is in its state."""

STATES = {
    "webhooks-out": "held",
    "emails-dlq": "dead_letters",
    "thumbnails": "no_worker",
    "Emails": "no_worker",
    "payouts": "paused",
    "billing-sync": "rate_limited",
    "emails": "idle",
    "orders": "running",
    "reports": "running",
}
"""The states that queues of the demo are in before more jobs come."""

_HOST = "127.0.0.1"
_POLL, _PAUSE = 0.05, 0.5
_SHUTDOWN_TIMEOUT = 1
_LETTERS = UNSUBSCRIBED + BAD_ADDRESSES


class Demo:
    """A context manager: the demo on `service`, which apps reach at `url`."""

    def __init__(self, service: Service, url: str, *, seed: int = SEED) -> None:
        self._service = service
        self._url = url
        self._seed = seed
        self._traffic = Traffic(service, seed=seed)
        self._stack = contextlib.AsyncExitStack()

    async def __aenter__(self) -> t.Self:
        async with contextlib.AsyncExitStack() as stack:
            end = asyncio.Event()
            await stack.enter_async_context(self._app(app.workers(end)))
            stack.callback(end.set)
            await self._build()
            self._stack = stack.pop_all()
        return self

    async def __aexit__(self, *exc_info: object) -> None:
        await self._stack.aclose()

    async def keep_going(self) -> None:
        """Add a few jobs again and again, as long as the demo is looked at."""
        while True:
            await self._service.add(self._traffic.some())
            await asyncio.sleep(_PAUSE)

    async def problems(self) -> list[str]:
        """Return which queues are not in the state that the demo shows."""
        rows = {row["name"]: row for row in await self._service.overview.rows([*STATES])}
        return [
            f'queue "{queue}" is {rows[queue]["state"]}, not {state}'
            for queue, state in STATES.items()
            if rows[queue]["state"] != state
        ]

    async def _build(self) -> None:
        service, traffic = self._service, self._traffic
        emails = service.jobs.scripts("emails")
        await emails.connection.execute("SET", emails.keys["id"], FIRST_EMAIL)
        await service.queues.pause("payouts")
        async with self._app(app.workers_that_leave()):
            await service.add(traffic.done())
            await self._wait_for("webhooks-out", lambda counts: counts["completed"] == DONE["webhooks-out"])
        await service.add(traffic.emails())
        await service.add(traffic.orders())
        await service.add(traffic.reports())
        await self._wait_for("reports", lambda counts: counts["active"] == 2)
        await service.add(service.flows.plan([traffic.flow()], now=now_ms()).jobs)
        await service.add(traffic.later())
        for queue in WAITING:
            await service.add(traffic.waiting(queue))
        await self._wait_for("emails", lambda counts: counts["failed"] == _LETTERS and not _open(counts))
        await self._wait_for("emails-dlq", lambda counts: counts["waiting"] == _LETTERS)
        await self._wait_for("orders", lambda counts: counts["failed"] == DECLINED and counts["active"] == 1)
        await self._wait_until(self._has_hold, "the app of webhooks-out is not missed")
        await self._service.minutes.flush()
        await fill_minutes(service, now=now_ms(), seed=self._seed)
        await move_into_past(service)

    @contextlib.asynccontextmanager
    async def _app(self, workers: list[Worker]) -> t.AsyncGenerator[None]:
        with listen(_HOST, 0, command="nextmq demo") as listener:
            url = self._service.project.connection_string(self._url)
            handler = create_nextmq_handler(workers, url=url, app_url=base_url(_HOST, listener))
            server = HTTPServer(handler, shutdown_timeout=_SHUTDOWN_TIMEOUT, lifespan="auto")
            serving = asyncio.create_task(server.serve(sockets=[listener]))
            try:
                await self._wait_until(lambda: self._has(workers), "the app does not register")
                yield
            finally:
                server.should_exit = True
                await asyncio.wait([serving], timeout=2 * _SHUTDOWN_TIMEOUT)
                await end_tasks(serving)

    async def _has(self, workers: t.Iterable[Worker]) -> bool:
        return self._service.registry.all().keys() >= {worker.name for worker in workers}

    async def _has_hold(self) -> bool:
        return await self._service.limits.hold("webhooks-out") is not None

    async def _wait_for(self, queue: str, is_there: t.Callable[[dict[str, int]], bool]) -> None:
        async def look() -> bool:
            return is_there(await self._service.queues.counts(queue))

        await self._wait_until(look, f'the jobs of queue "{queue}" are not where they belong')

    async def _wait_until(self, holds: t.Callable[[], t.Awaitable[bool]], otherwise: str) -> None:
        try:
            async with asyncio.timeout(BUILD_TIMEOUT):
                while not await holds():  # noqa: ASYNC110 - it is in Redis
                    await asyncio.sleep(_POLL)
        except TimeoutError:
            raise NextMQError(f"after {BUILD_TIMEOUT:.0f} s {otherwise}: start the demo again") from None


def _open(counts: dict[str, int]) -> int:
    return sum(counts[state] for state in ("waiting", "active", "delayed", "prioritized"))
