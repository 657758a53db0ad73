"""The schedules that apps declare in their code: created, changed and removed as the registrations change."""

from __future__ import annotations

import logging
import typing as t

from nextmq_handler.rules.cron import InvalidSchedule
from nextmq_handler.rules.log_text import one_line

from ..engine.queues.jobs import WrongState
from ..engine.queues.schedulers import JobSchedulers, NoSuchScheduler
from ..redis.connection import RedisConnection
from ..redis.keys import ProjectKeys
from .registry import Registry

if t.TYPE_CHECKING:
    from nextmq_handler.rules.schedules import ScheduleModel

logger = logging.getLogger("nextmq_server")


class DeclaredSchedules:
    """The job schedulers that registrations declare, kept apart from those that were created otherwise.

    Each call raises RedisError or ConnectionLost.
    """

    def __init__(
        self, connection: RedisConnection, keys: ProjectKeys, registry: Registry, schedulers: JobSchedulers
    ) -> None:
        self._connection = connection
        self._keys = keys
        self._registry = registry
        self._schedulers = schedulers

    async def apply(self, queue: str) -> None:
        """Create the schedulers that the queue's registration declares; remove those of an earlier one."""
        applied: list[ScheduleModel] | None = None
        made: set[str] = set()  # by this call: another process may have removed some
        # Repeat until nothing changes: another process may take a registration at the same time.
        while (declared := await self._registry.declared(queue)) != applied:
            await self._apply(queue, declared, made)
            applied = declared
            made |= {schedule.id for schedule in declared}

    async def release(self, queue: str, id: str) -> None:
        """Give up the scheduler: it stays even if the app no longer declares it."""
        await self._connection.execute("SREM", self._keys("schedules", queue), id)

    async def _apply(self, queue: str, declared: t.Sequence[ScheduleModel], made: set[str]) -> None:
        key, ids = self._keys("schedules", queue), {schedule.id for schedule in declared}
        if ids:
            # First, so that whatever is created is known to be the app's.
            await self._connection.execute("SADD", key, *ids)
        for schedule in declared:
            try:
                await self._schedulers.upsert(queue, schedule.id, schedule.repeat(), schedule.template())
            except (InvalidSchedule, WrongState) as exc:
                logger.error('queue %s: schedule "%s" cannot run: %s', queue, one_line(schedule.id), exc)
            except NoSuchScheduler:
                continue  # another process is removing it, and will see that it is declared again
        known: list[str] = await self._connection.execute("SMEMBERS", key)
        for id in made.union(known) - ids:
            if await self._schedulers.remove(queue, id):
                logger.info(
                    'queue %s: removed schedule "%s", which its app no longer declares', queue, one_line(id)
                )
            await self._connection.execute("SREM", key, id)
