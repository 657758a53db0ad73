"""A worker registration: what an app declares about one of its workers (protocol section 4)."""

from __future__ import annotations

import json
import typing as t

from pydantic import (
    AfterValidator,
    BaseModel,
    BeforeValidator,
    ConfigDict,
    Field,
    PlainSerializer,
    ValidationError,
    WithJsonSchema,
)
from pydantic.alias_generators import to_camel

from nextmq_handler.protocol import strict_json
from nextmq_handler.protocol.arguments import MAX_RELEASE
from nextmq_handler.rules import limits
from nextmq_handler.rules.backoff import BUILT_IN
from nextmq_handler.rules.models import BackoffType, Delay, Queue
from nextmq_handler.rules.schedules import ScheduleModel

from ..dispatch.dispatcher import AppEndpoint
from ..dispatch.egress.rules import parse_url
from ..engine.worker.options import RunnerOptions

MAX_SECRET_IDS = 16
"""How many webhook secrets an app may have at once."""


class _Camel(BaseModel):
    model_config = ConfigDict(alias_generator=to_camel, populate_by_name=True, extra="ignore", frozen=True)


class RegisteredLimiter(_Camel):
    """At most `max` starts in each `duration` ms."""

    max: int = Field(ge=1, le=limits.MAX_STARTS)
    duration: int = Field(ge=1, le=limits.MAX_WORKER_MS)


def _no_built_in(strategies: dict[str, list[int]]) -> dict[str, list[int]]:
    taken = sorted(strategies.keys() & set(BUILT_IN))
    if taken:
        raise ValueError(f"{taken[0]} is built into BullMQ: give the strategy another name")
    return strategies


BackoffStrategies = t.Annotated[
    dict[BackoffType, t.Annotated[list[Delay], Field(min_length=1, max_length=limits.MAX_STRATEGY_DELAYS)]],
    Field(max_length=limits.MAX_BACKOFF_STRATEGIES),
    AfterValidator(_no_built_in),
]


class RegisteredOptions(_Camel):
    """The worker options that the server enforces. Times are ms."""

    concurrency: int = Field(default=1, ge=1, le=limits.MAX_CONCURRENCY)
    timeout: int = Field(default=30_000, ge=1, le=limits.MAX_WORKER_MS)
    limiter: RegisteredLimiter | None = None
    lock_duration: int = Field(default=30_000, ge=limits.MIN_LOCK_MS, le=limits.MAX_WORKER_MS)
    stalled_interval: int = Field(default=30_000, ge=limits.MIN_LOCK_MS, le=limits.MAX_WORKER_MS)
    max_stalled_count: int = Field(default=3, ge=0, le=limits.MAX_STALLED_COUNT)
    dead_letter: Queue | None = None
    backoff_strategies: BackoffStrategies = {}


def endpoint_url(url: str) -> str:
    """Return `url`. Raises ValueError if requests cannot use it; the egress rules decide where they may go."""
    parse_url(url)
    return url


def _as_text(schemas: object) -> str | None:
    if schemas is None:
        return None
    if not isinstance(schemas, dict):
        raise ValueError("Input should be an object or null")
    try:
        json.dumps(t.cast("object", schemas), ensure_ascii=False).encode()
    except UnicodeEncodeError:
        raise ValueError("schemas has a lone surrogate, which UTF-8 cannot carry") from None
    return strict_json.compact(t.cast("object", schemas))


def _as_value(schemas: str | None) -> object:
    return None if schemas is None else strict_json.parse(schemas)


Schemas = t.Annotated[
    str | None,
    BeforeValidator(_as_text),
    PlainSerializer(_as_value),
    WithJsonSchema({"anyOf": [{"type": "object", "additionalProperties": True}, {"type": "null"}]}),
]
"""The JSON Schemas of jobs by their names, kept as text: parsed, they cost many times their size."""


def _no_duplicates(schedules: list[ScheduleModel]) -> list[ScheduleModel]:
    ids = [schedule.id for schedule in schedules]
    twice = sorted({id for id in ids if ids.count(id) > 1})
    if twice:
        raise ValueError(f"schedules has two with the id {twice[0]}")
    return schedules


class Registration(_Camel):
    """The registration of one worker. `started_at` and `last_seen` are ms since the epoch, on the clock of Redis.

    `started_at` is when the app's process started, 0 for an SDK that does not tell: it sends `age`, the ms since
    then. `deploy` claims the queue: it is sent by a deploy step. Neither of the two is kept.
    """

    url: t.Annotated[str, Field(max_length=2048), AfterValidator(endpoint_url)]
    options: RegisteredOptions = RegisteredOptions()
    secret_ids: list[t.Annotated[str, Field(pattern="^[0-9a-f]{8}$")]] = Field(
        min_length=1, max_length=MAX_SECRET_IDS
    )
    fingerprint: str = Field(pattern="^[A-Za-z0-9_-]{1,64}$")
    sdk: str = Field(default="", max_length=200)
    release: str = Field(default="", max_length=MAX_RELEASE)
    age: int | None = Field(default=None, ge=0, le=limits.MAX_DELAY_MS, exclude=True)
    deploy: bool = Field(default=False, exclude=True)
    schemas: Schemas = None
    schedules: t.Annotated[
        list[ScheduleModel], Field(max_length=limits.MAX_SCHEDULES), AfterValidator(_no_duplicates)
    ] = []
    started_at: int = 0
    last_seen: int = 0

    @classmethod
    def read(cls, text: str) -> t.Self:
        """Return a stored registration, without schedules that this version does not take. Raises ValueError."""
        members = strict_json.parse(text)
        try:
            return cls.model_validate(members)
        except ValidationError as exc:
            places = [error["loc"] for error in exc.errors()]
            refused = {place[1] for place in places if place[0] == "schedules" and len(place) > 1}
            if not refused:
                raise
        kept = [schedule for index, schedule in enumerate(members["schedules"]) if index not in refused]
        return cls.model_validate({**members, "schedules": kept})

    def view(self) -> dict[str, t.Any]:
        """Return the registration as the API shows it."""
        return self.model_dump(by_alias=True)

    def text(self) -> str:
        """Return the registration as it is stored."""
        return strict_json.compact(self.view())  # pydantic's own JSON takes no lone surrogates

    def seen(self, now: int) -> Registration:
        """Return this registration as it arrives at `now`, ms since the epoch."""
        started_at = 0 if self.age is None else now - self.age
        return self.model_copy(update={"started_at": started_at, "last_seen": now, "age": None, "deploy": False})

    def endpoint(self, queue: str, *, max_timeout: int) -> AppEndpoint:
        """Return where the dispatcher delivers the jobs of `queue`. `max_timeout` is the server's, in ms."""
        return AppEndpoint(queue, self.url, min(self.options.timeout, max_timeout), self.fingerprint)

    def for_engine(self) -> RunnerOptions:
        """Return the options that the engine enforces."""
        options = self.options.model_dump(exclude={"timeout"})
        return RunnerOptions(**options, origin=str(parse_url(self.url).origin()))

    def having(self, secret_id: str) -> Registration:
        """Return this registration, known to have the webhook secret of this id."""
        if secret_id in self.secret_ids:
            return self
        ids = [secret_id, *self.secret_ids[: MAX_SECRET_IDS - 1]]
        return self.model_copy(update={"secret_ids": ids})

    def conflicts(self, other: Registration) -> list[str]:
        """Return what keeps `other` from taking this one's place: another URL, no webhook secret in common."""
        fields = ["url"] if self.url != other.url else []
        return fields if set(self.secret_ids) & set(other.secret_ids) else [*fields, "secretIds"]

    def runs_as(self, other: Registration) -> bool:
        """Return whether the queue of `other` runs as this one's does."""
        return (self.url, self.options) == (other.url, other.options)
