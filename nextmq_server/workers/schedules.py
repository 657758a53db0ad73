"""The schedules that apps declare in their code, and register: made, changed and removed as the code changes."""

from __future__ import annotations

import logging
import typing as t

from nextmq_handler.rules.cron import InvalidSchedule

from ..engine.queues.jobs import WrongState
from ..engine.queues.schedulers import JobSchedulers, NoSuchScheduler
from ..redis.connection import RedisConnection
from .registry import Registry

if t.TYPE_CHECKING:
    from nextmq_handler.rules.schedules import ScheduleModel

logger = logging.getLogger("nextmq_server")


class DeclaredSchedules:
    """Keeps the job schedulers that registrations declare, and knows them from those that others made.

    Each call raises RedisError or ConnectionLost.
    """

    def __init__(
        self, connection: RedisConnection, project: str, registry: Registry, schedulers: JobSchedulers
    ) -> None:
        self._connection = connection
        self._prefix = f"nextmq:{project}:schedules:"
        self._registry = registry
        self._schedulers = schedulers

    async def apply(self, queue: str) -> None:
        """Have the schedulers that the registration of `queue` declares, and none that only an earlier one did."""
        applied: list[ScheduleModel] | None = None
        made: set[str] = set()  # by this call: one that another process removed meanwhile is not known any more
        # Until it is the last one: another process may take a registration at the same time.
        while (declared := await self._registry.declared(queue)) != applied:
            await self._apply(queue, declared, made)
            applied = declared
            made |= {schedule.id for schedule in declared}

    async def release(self, queue: str, id: str) -> None:
        """Somebody else makes this scheduler: it stays when the app's code has it no more."""
        await self._connection.execute("SREM", self._prefix + queue, id)

    async def _apply(self, queue: str, declared: t.Sequence[ScheduleModel], made: set[str]) -> None:
        key, ids = self._prefix + queue, {schedule.id for schedule in declared}
        if ids:
            await self._connection.execute("SADD", key, *ids)  # first: what is made is known to be the app's
        for schedule in declared:
            try:
                await self._schedulers.upsert(queue, schedule.id, schedule.repeat(), schedule.template())
            except (InvalidSchedule, WrongState) as exc:
                logger.error('queue %s: schedule "%s" cannot run: %s', queue, schedule.id, exc)
            except NoSuchScheduler:
                continue  # another process removes it, and will see that it is declared again
        known: list[str] = await self._connection.execute("SMEMBERS", key)
        for id in made.union(known) - ids:
            if await self._schedulers.remove(queue, id):
                logger.info('queue %s: removed schedule "%s", which its app has no more', queue, id)
            await self._connection.execute("SREM", key, id)
