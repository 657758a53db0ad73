"""Run bulk operations in the background: one process runs each, another goes on with it if that one dies."""

from __future__ import annotations

import asyncio
import contextlib
import logging
import secrets
import time
import typing as t

from nextmq_handler.rules.search.bulk import STATES_OF, BulkAction
from nextmq_handler.rules.search.filters import Filter, Term, parse_filter

from ....redis.connection import ConnectionLost, RedisError
from ....tasks import end_tasks
from ....timers import now_ms
from ...scripts.scripts import flat
from ..jobs import Jobs
from ..search.cursors import read_cursor, write_cursor
from ..search.searching import is_whole
from ..search.sources import SOURCES, Hit, Source
from ..search.walks import Found, Walk, sources_of
from .actions import DONE, FIELDS, STOP, Actor
from .operations import Operation, Operations
from .whole_states import retry_all

logger = logging.getLogger("nextmq_server.engine")

STEP = 100
"""How many jobs are changed at a time."""

POLL = 2.0
"""How often, in s, to look for operations that a process has left behind."""

PAUSE = 0.5
"""How long, in s, an operation with a rate pauses at most before it looks whether it was cancelled."""

Changed = t.Callable[[str], t.Awaitable[None]]
"""Is told after each step which queue was changed."""

Note = t.Callable[[set[str]], t.Awaitable[None]]
"""Is told which queues get jobs, before they do."""


class BulkRunner:
    """Runs the operations of one project, one at a time in this process."""

    def __init__(self, jobs: Jobs, operations: Operations, *, note: Note, changed: Changed) -> None:
        self._jobs = jobs
        self.operations = operations
        self._note = note
        self._changed = changed
        self._wanted = asyncio.Event()
        self._task: asyncio.Task[None] | None = None

    def start(self) -> None:
        """Start to look for operations."""
        self._task = asyncio.create_task(self._watch())

    async def stop(self) -> None:
        """Stop. Another process goes on with the operation that runs, or this one when it starts again."""
        await end_tasks(self._task)

    async def create(self, fields: t.Mapping[str, t.Any]) -> Operation:
        """Create an operation and run it. Raises TooManyOperations, RedisError or ConnectionLost."""
        operation = await self.operations.create(fields)
        self._wanted.set()
        return operation

    async def _watch(self) -> None:
        while True:
            token = secrets.token_hex(8)
            try:
                operation = await self.operations.take(token)
                if operation is not None:
                    await self._run(operation, token)
                    continue
            except ConnectionLost:
                await self.operations.ready()
            except Exception as exc:
                logger.error("a bulk operation failed, trying again", exc_info=exc)
            with contextlib.suppress(TimeoutError):
                async with asyncio.timeout(POLL):
                    await self._wanted.wait()
            self._wanted.clear()

    async def _run(self, operation: Operation, token: str) -> None:
        run = _Run(self._jobs, self.operations, operation, token, self._note)
        try:
            async for _ in run.steps():
                await self._changed(operation.queue)
        except RedisError as exc:
            logger.error("bulk operation %s failed: Redis answered %s", operation.id, exc)
            await self.operations.end(operation.id, "failed", token, problem=str(exc)[:300])
        except asyncio.CancelledError:
            with contextlib.suppress(ConnectionLost, RedisError):
                await self.operations.release(operation.id, token)
            raise


class _Run:
    """One run of an operation by this process."""

    def __init__(self, jobs: Jobs, operations: Operations, operation: Operation, token: str, note: Note) -> None:
        self._jobs = jobs
        self._operations = operations
        self._operation = operation
        self._token = token
        self._note = note
        keys = operations.keys_of(operation.id)
        self._actor = Actor(jobs, operation, keys, token, now_ms)
        self._rate = operation.per_second

    async def steps(self) -> t.AsyncIterator[None]:
        """Do the operation to its end, until it is cancelled or another process has it; yield after each step."""
        parsed = parse_filter(self._operation.filter or "")
        if self._operation.ids is not None:
            steps = self._by_ids(self._operation.ids)
        elif self._is_whole_state(parsed):
            keys = self._operations.keys_of(self._operation.id)
            steps = retry_all(self._jobs, self._operation, parsed.of("state")[0].value, keys, self._token)
        else:
            steps = self._by_filter(parsed)
        async for is_ours in steps:
            yield
            if not is_ours:
                return
        await self._operations.end(self._operation.id, "done", self._token)

    def _is_whole_state(self, filter: Filter) -> bool:
        operation = self._operation
        is_retry = operation.action == "retry" and not operation.options["resetAttempts"]
        return is_retry and self._rate is None and is_whole(filter) and not filter.of("queue")

    async def _by_filter(self, filter: Filter) -> t.AsyncIterator[bool]:
        operation = self._operation
        until = Filter((*filter.terms, Term("until", str(operation.created_at))))  # not those that come later
        walk = Walk(
            self._jobs,
            [operation.queue],
            until,
            now=operation.created_at,
            whole=False,
            spot=read_cursor(operation.spot) if operation.spot else None,
            sources=sources_for(operation.action, filter),
            fields=FIELDS.get(operation.action, ()),
        )
        total = await walk.total() if operation.total is None else operation.total
        while not walk.is_end:
            began = time.monotonic()
            page = await walk.page(self._step)
            answers = await self._act([(found.source, found.hit, None) for found in page])
            if page and page[0].source.is_list:
                walk.removed(answers.count(DONE) if self._leaves_list else 0)
            at = {"spot": write_cursor(walk.spot)} if walk.spot else {}
            is_ours = STOP not in answers and await self._progress(
                looked=operation.looked + walk.looked, total=total, **at
            )
            yield is_ours
            if not is_ours or not await self._pace(len(page), began):
                yield False
                return

    async def _by_ids(self, ids: t.Sequence[str]) -> t.AsyncIterator[bool]:
        start = self._operation.next
        while start < len(ids):
            began = time.monotonic()
            some = ids[start : start + self._step]
            jobs = await asyncio.gather(*map(self._found, some))
            answers = await self._act(
                [(job.source, job.hit, position) for position, job in enumerate(jobs, start + 1)]
            )
            start += len(some)
            is_ours = STOP not in answers and await self._progress(looked=start, total=len(ids))
            yield is_ours
            if not is_ours or not await self._pace(len(some), began):
                yield False
                return

    async def _act(self, jobs: t.Sequence[tuple[Source, Hit, int | None]]) -> list[str]:
        """Change jobs, at once over one connection. Raises RedisError or ConnectionLost."""
        if self._operation.action == "redrive":
            await self._note(self._actor.targets([hit for _, hit, _ in jobs]))
        return list(await asyncio.gather(*(self._actor.act(*job) for job in jobs)))

    async def _found(self, job_id: str) -> Found:
        scripts = self._jobs.scripts(self._operation.queue)
        names = FIELDS.get(self._operation.action, ("name",))
        state: str = await scripts.pack.getState(job_id)
        values = await scripts.fields(job_id, *names)
        fields = {name: value for name, value in zip(names, values, strict=True) if value is not None}
        possible = STATES_OF[self._operation.action]
        source = next(
            source for source in SOURCES if source.state == (state if state in possible else possible[0])
        )
        return Found(self._operation.queue, source, Hit(job_id, "", flat(fields)))

    async def _progress(self, **fields: object) -> bool:
        return await self._operations.progress(self._operation.id, self._token, **fields)

    async def _pace(self, count: int, began: float) -> bool:
        """Pause as the rate says. Return whether this process still runs the operation."""
        if self._rate is None:
            return True
        while (left := began + count / self._rate - time.monotonic()) > 0:
            await asyncio.sleep(min(PAUSE, left))
            if not await self._progress():
                return False
        return True

    @property
    def _step(self) -> int:
        return STEP if self._rate is None else max(1, min(STEP, round(self._rate * PAUSE)))

    @property
    def _leaves_list(self) -> bool:
        return self._operation.action != "priority" or bool(self._operation.options["priority"])


def sources_for(action: BulkAction, filter: Filter) -> list[Source]:
    """Return where the jobs are that an action with this filter may change."""
    return [source for source in sources_of(filter) if source.state in STATES_OF[action]]
