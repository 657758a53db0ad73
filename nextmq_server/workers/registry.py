"""Worker registrations: which app works for which queue (protocol section 4). Kept in Redis."""

from __future__ import annotations

import asyncio
import difflib
import json
import logging
import time
import typing as t

from pydantic import AfterValidator, BaseModel, ConfigDict, Field, ValidationError
from pydantic.alias_generators import to_camel

from nextmq_handler.rules.backoff import BUILT_IN
from nextmq_handler.rules.limits import (
    MAX_BACKOFF_STRATEGIES,
    MAX_CONCURRENCY,
    MAX_SCHEDULES,
    MAX_STARTS,
    MAX_STRATEGY_DELAYS,
    MAX_WORKER_MS,
)
from nextmq_handler.rules.models import BackoffType, Delay, Queue
from nextmq_handler.rules.schedules import ScheduleModel

from ..dispatch.dispatcher import Endpoint
from ..dispatch.egress.rules import parse_url
from ..engine.worker.options import WorkerOptions
from ..redis.connection import ConnectionLost, RedisConnection, RedisError

logger = logging.getLogger("nextmq_server")

POLL_INTERVAL = 1.0
"""How often, in s, what other server processes registered is looked for."""

# One step each, so that no process counts a write it cannot see, or takes another's registration for none.
_PUT = """
if (redis.call("HGET", KEYS[1], ARGV[1]) or "") ~= ARGV[2] then return 0 end
redis.call("HSET", KEYS[1], ARGV[1], ARGV[3])
redis.call("INCR", KEYS[2])
return 1
"""
_DELETE = """
local removed = redis.call("HDEL", KEYS[1], ARGV[1])
redis.call("INCR", KEYS[2])
return removed
"""


class _Camel(BaseModel):
    model_config = ConfigDict(alias_generator=to_camel, populate_by_name=True, extra="ignore", frozen=True)


class Limiter(_Camel):
    """At most `max` starts in each `duration` ms."""

    max: int = Field(ge=1, le=MAX_STARTS)
    duration: int = Field(ge=1, le=MAX_WORKER_MS)


def _no_built_in(strategies: dict[str, list[int]]) -> dict[str, list[int]]:
    taken = sorted(strategies.keys() & set(BUILT_IN))
    if taken:
        raise ValueError(f"{taken[0]} is BullMQ's own: call the strategy something else")
    return strategies


BackoffStrategies = t.Annotated[
    dict[BackoffType, t.Annotated[list[Delay], Field(min_length=1, max_length=MAX_STRATEGY_DELAYS)]],
    Field(max_length=MAX_BACKOFF_STRATEGIES),
    AfterValidator(_no_built_in),
]


class Options(_Camel):
    """The worker options that the server enforces; times are ms."""

    concurrency: int = Field(default=1, ge=1, le=MAX_CONCURRENCY)
    timeout: int = Field(default=30_000, ge=1, le=MAX_WORKER_MS)
    limiter: Limiter | None = None
    lock_duration: int = Field(default=30_000, ge=1000, le=MAX_WORKER_MS)
    stalled_interval: int = Field(default=30_000, ge=1000, le=MAX_WORKER_MS)
    max_stalled_count: int = Field(default=3, ge=0, le=1000)
    dead_letter: Queue | None = None
    backoff_strategies: BackoffStrategies = {}

    def for_engine(self, *, origin: str) -> WorkerOptions:
        """The part that the engine enforces, of a worker whose deliveries go to `origin`."""
        return WorkerOptions(
            backoff_strategies=self.backoff_strategies,
            concurrency=self.concurrency,
            dead_letter=self.dead_letter,
            limiter=self.limiter.model_dump() if self.limiter else None,
            lock_duration=self.lock_duration,
            max_stalled_count=self.max_stalled_count,
            origin=origin,
            stalled_interval=self.stalled_interval,
        )


def endpoint_url(url: str) -> str:
    """`url` itself. Raises ValueError where it is none for requests; the egress rules say which may be used."""
    parse_url(url)
    return url


def _unicode_only(schemas: dict[str, t.Any] | None) -> dict[str, t.Any] | None:
    try:
        json.dumps(schemas, ensure_ascii=False).encode()
    except UnicodeEncodeError:
        raise ValueError("schemas has a lone surrogate, which UTF-8 cannot carry") from None
    return schemas


def _no_duplicates(schedules: list[ScheduleModel]) -> list[ScheduleModel]:
    ids = [schedule.id for schedule in schedules]
    twice = sorted({id for id in ids if ids.count(id) > 1})
    if twice:
        raise ValueError(f"schedules has two with the id {twice[0]}")
    return schedules


class Registration(_Camel):
    """What an app says of one of its workers."""

    url: t.Annotated[str, Field(max_length=2048), AfterValidator(endpoint_url)]
    options: Options = Options()
    secret_ids: list[t.Annotated[str, Field(pattern="^[0-9a-f]{8}$")]] = Field(min_length=1, max_length=16)
    fingerprint: str = Field(pattern="^[A-Za-z0-9_-]{1,64}$")
    sdk: str = Field(default="", max_length=200)
    schemas: t.Annotated[dict[str, t.Any] | None, AfterValidator(_unicode_only)] = None
    schedules: t.Annotated[
        list[ScheduleModel], Field(max_length=MAX_SCHEDULES), AfterValidator(_no_duplicates)
    ] = []
    last_seen: int = 0

    def endpoint(self, queue: str) -> Endpoint:
        """Where the dispatcher delivers the queue's jobs."""
        return Endpoint(queue, self.url, self.options.timeout, self.fingerprint)

    def for_engine(self) -> WorkerOptions:
        """What the engine enforces."""
        return self.options.for_engine(origin=str(parse_url(self.url).origin()))

    def differing_fields(self, other: Registration) -> list[str]:
        """What makes `other` a different registration: a URL, an option, secrets with none in common."""
        fields: list[str] = []
        if self.url != other.url:
            fields.append("url")
        if self.options != other.options:
            fields.append("options")
        if not set(self.secret_ids) & set(other.secret_ids):
            fields.append("secretIds")
        return fields


class WorkerConflict(Exception):
    """Another registration holds the queue; `fields` differ."""

    def __init__(self, fields: list[str]) -> None:
        super().__init__(", ".join(fields))
        self.fields = fields


class Registry:
    """The registrations of one project, which several server processes may share."""

    def __init__(
        self, connection: RedisConnection, project: str, *, clock: t.Callable[[], float] = time.time
    ) -> None:
        self._connection = connection
        self._key = f"nextmq:{project}:workers"
        self._writes_key = f"nextmq:{project}:workers-writes"
        self._writes: str | None = None
        self._clock = clock
        self._registrations: dict[str, Registration] = {}
        self._texts: dict[str, str] = {}

    async def load(self) -> dict[str, Registration]:
        """Read all registrations. Raises RedisError or ConnectionLost."""
        # Before the registrations: a write in between is found by the next look.
        self._writes = await self._connection.execute("GET", self._writes_key)
        flat: list[str] = await self._connection.execute("HGETALL", self._key)
        texts = dict(zip(flat[::2], flat[1::2], strict=True))
        registrations: dict[str, Registration] = {}
        for queue, text in texts.items():
            held = self._registrations.get(queue) if self._texts.get(queue) == text else _read(queue, text)
            if held is not None:
                registrations[queue] = held
        self._registrations, self._texts = registrations, texts
        return dict(registrations)

    async def refresh(self) -> dict[str, Registration | None]:
        """What this process held of each queue whose registration another one has put or removed since.

        Raises RedisError or ConnectionLost.
        """
        if await self._connection.execute("GET", self._writes_key) == self._writes:
            return {}
        before = self._registrations
        after = await self.load()
        return {queue: before.get(queue) for queue in before | after if before.get(queue) != after.get(queue)}

    async def follow(self, apply: t.Callable[[str, Registration | None], t.Awaitable[None]]) -> None:
        """For ever, have `apply` called with each queue that another process registered, and what was held of it.

        It is called again until it has not raised.
        """
        pending: dict[str, Registration | None] = {}
        while True:
            await asyncio.sleep(POLL_INTERVAL)
            try:
                pending = await self.refresh() | pending  # what was held at first
                for queue in list(pending):
                    await apply(queue, pending[queue])
                    del pending[queue]
            except ConnectionLost:
                await self._connection.ready()
            except RedisError as exc:
                logger.error("cannot follow what other servers registered, trying again: %s", exc)
            except Exception:  # whatever it was, the next registrations must be heard of
                logger.exception("cannot follow what other servers registered, trying again")

    def get(self, queue: str) -> Registration | None:
        """The registration of `queue`."""
        return self._registrations.get(queue)

    def all(self) -> dict[str, Registration]:
        """The registration of each queue that has one."""
        return dict(self._registrations)

    async def declared(self, queue: str) -> list[ScheduleModel]:
        """The schedules of the registration that Redis holds now, whoever put it. Raises ConnectionLost."""
        text: str | None = await self._connection.execute("HGET", self._key, queue)
        return Registration.model_validate_json(text).schedules if text is not None else []

    def leads_back(self, queue: str, dead_letter: str | None) -> bool:
        """Whether what fails in `queue` would come back to it from `dead_letter`, over one queue or several."""
        passed: set[str] = set()
        while dead_letter is not None and dead_letter not in passed:
            if dead_letter == queue:
                return True
            passed.add(dead_letter)
            held = self.get(dead_letter)
            dead_letter = held.options.dead_letter if held else None
        return False

    def nearest(self, queue: str) -> str | None:
        """The queue with a worker whose name is nearest to `queue`: perhaps what was meant."""
        by_folded = {name.casefold(): name for name in self._registrations}
        near = difflib.get_close_matches(queue.casefold(), by_folded, n=1, cutoff=0.75)
        return by_folded[near[0]] if near else None

    async def put(self, queue: str, registration: Registration, *, replace: bool | str) -> bool:
        """Store a registration; whether it changed what this process knew.

        `replace` is the fingerprint of the registration to replace, or True for whichever there is. Raises
        WorkerConflict, RedisError or ConnectionLost.
        """
        while True:
            # What Redis holds, not what we do: another process may have taken one a moment ago.
            text: str = await self._connection.execute("HGET", self._key, queue) or ""
            held = _read(queue, text) if text else None
            fields = held.differing_fields(registration) if held else ["url"]
            if held is not None and fields and replace not in (True, held.fingerprint):
                raise WorkerConflict(fields)
            seen = registration.model_copy(update={"last_seen": round(self._clock() * 1000)})
            new = seen.model_dump_json(by_alias=True)
            if await self._connection.execute("EVAL", _PUT, 2, self._key, self._writes_key, queue, text, new):
                break
        known = self._registrations.get(queue)
        self._registrations[queue], self._texts[queue] = seen, new
        return bool(fields) or known is None or bool(known.differing_fields(seen))

    async def delete(self, queue: str) -> bool:
        """Remove a registration; whether there was one. Raises RedisError or ConnectionLost."""
        removed = await self._connection.execute("EVAL", _DELETE, 2, self._key, self._writes_key, queue)
        self._registrations.pop(queue, None)
        self._texts.pop(queue, None)
        return bool(removed)


def _read(queue: str, text: str) -> Registration | None:
    try:
        return Registration.model_validate_json(text)
    except ValidationError:
        logger.error("queue %s: its stored registration cannot be read; it waits for its app", queue)
        return None
