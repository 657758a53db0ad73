"""Worker registrations: which app works for which queue (protocol section 4). Kept in Redis."""

from __future__ import annotations

import difflib
import json
import logging
import time
import typing as t
from urllib.parse import urlsplit

from pydantic import AfterValidator, BaseModel, ConfigDict, Field, ValidationError
from pydantic.alias_generators import to_camel

from nextmq_handler.errors import ConfigurationError
from nextmq_handler.names import check_queue_name
from nextmq_handler.settings import is_loopback

from .api.schedule_models import Schedule
from .dispatch.dispatcher import Endpoint
from .engine.connection import Connection
from .engine.queue import WorkerOptions

logger = logging.getLogger("nextmq_server")

_MAX_MS = 7 * 86_400_000
_MAX_STARTS = 10**9

MAX_SCHEDULES = 200
"""How many schedules a worker may declare."""


class _Camel(BaseModel):
    model_config = ConfigDict(alias_generator=to_camel, populate_by_name=True, extra="ignore", frozen=True)


class Limiter(_Camel):
    """At most `max` starts in each `duration` ms."""

    max: int = Field(ge=1, le=_MAX_STARTS)
    duration: int = Field(ge=1, le=_MAX_MS)


def _queue_name(value: str) -> str:
    try:
        return check_queue_name(value)
    except ConfigurationError as exc:
        raise ValueError(str(exc)) from None


class Options(_Camel):
    """The worker options that the server enforces; times are ms."""

    concurrency: int = Field(default=1, ge=1, le=10_000)
    timeout: int = Field(default=30_000, ge=1, le=_MAX_MS)
    limiter: Limiter | None = None
    lock_duration: int = Field(default=30_000, ge=1000, le=_MAX_MS)
    stalled_interval: int = Field(default=30_000, ge=1000, le=_MAX_MS)
    max_stalled_count: int = Field(default=3, ge=0, le=1000)
    dead_letter: t.Annotated[str, AfterValidator(_queue_name)] | None = None

    def for_engine(self) -> WorkerOptions:
        """The part that the engine enforces."""
        return WorkerOptions(
            concurrency=self.concurrency,
            dead_letter=self.dead_letter,
            limiter=self.limiter.model_dump() if self.limiter else None,
            lock_duration=self.lock_duration,
            max_stalled_count=self.max_stalled_count,
            stalled_interval=self.stalled_interval,
        )


def endpoint_url(url: str) -> str:
    """`url` itself. Raises ValueError where requests must not be sent there."""
    try:
        parts = urlsplit(url)
        _ = parts.port
    except ValueError:
        raise ValueError("url is not a URL") from None
    if not url.isprintable() or " " in url:  # urlsplit strips them, who logs or requests it does not
        raise ValueError("url has a space or a control character")
    if parts.scheme not in ("http", "https") or not parts.hostname or parts.username is not None:
        raise ValueError("url must be an http or https URL without user info")
    if parts.scheme == "http" and not is_loopback(parts.hostname):
        raise ValueError("url must be https: plain http is for this machine only")
    return url


def _unicode_only(schemas: dict[str, t.Any] | None) -> dict[str, t.Any] | None:
    try:
        json.dumps(schemas, ensure_ascii=False).encode()
    except UnicodeEncodeError:
        raise ValueError("schemas has a lone surrogate, which UTF-8 cannot carry") from None
    return schemas


def _no_duplicates(schedules: list[Schedule]) -> list[Schedule]:
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
    schedules: t.Annotated[list[Schedule], Field(max_length=MAX_SCHEDULES), AfterValidator(_no_duplicates)] = []
    last_seen: int = 0

    def endpoint(self, queue: str) -> Endpoint:
        """Where the dispatcher delivers the queue's jobs."""
        return Endpoint(queue, self.url, self.options.timeout, self.fingerprint)

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
    """The registrations of one project."""

    def __init__(self, connection: Connection, project: str, *, clock: t.Callable[[], float] = time.time) -> None:
        self._connection = connection
        self._key = f"nextmq:{project}:workers"
        self._clock = clock
        self._registrations: dict[str, Registration] = {}

    async def load(self) -> dict[str, Registration]:
        """Read all registrations. Raises ConnectionLost."""
        flat: list[str] = await self._connection.execute("HGETALL", self._key)
        self._registrations = {}
        for queue, text in zip(flat[::2], flat[1::2], strict=True):
            try:
                self._registrations[queue] = Registration.model_validate_json(text)
            except ValidationError:
                logger.error("queue %s: its stored registration cannot be read; it waits for its app", queue)
        return dict(self._registrations)

    def get(self, queue: str) -> Registration | None:
        """The registration of `queue`."""
        return self._registrations.get(queue)

    def all(self) -> dict[str, Registration]:
        """The registration of each queue that has one."""
        return dict(self._registrations)

    async def declared(self, queue: str) -> list[Schedule]:
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
        """Store a registration; whether it changed anything. Raises WorkerConflict or ConnectionLost.

        `replace` is the fingerprint of the registration to replace, or True for whichever there is.
        """
        held = self._registrations.get(queue)
        fields = held.differing_fields(registration) if held else ["url"]
        if held is not None and fields and replace not in (True, held.fingerprint):
            raise WorkerConflict(fields)
        seen = registration.model_copy(update={"last_seen": round(self._clock() * 1000)})
        await self._connection.execute("HSET", self._key, queue, seen.model_dump_json(by_alias=True))
        self._registrations[queue] = seen
        return bool(fields)

    async def delete(self, queue: str) -> bool:
        """Remove a registration; whether there was one. Raises ConnectionLost."""
        await self._connection.execute("HDEL", self._key, queue)
        return self._registrations.pop(queue, None) is not None
