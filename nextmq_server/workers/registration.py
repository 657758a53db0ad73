"""A worker registration: what an app declares about one of its workers (protocol section 4)."""

from __future__ import annotations

import json
import typing as t

from pydantic import AfterValidator, BaseModel, ConfigDict, Field
from pydantic.alias_generators import to_camel

from nextmq_handler.rules import limits
from nextmq_handler.rules.backoff import BUILT_IN
from nextmq_handler.rules.models import BackoffType, Delay, Queue
from nextmq_handler.rules.schedules import ScheduleModel

from ..dispatch.dispatcher import AppEndpoint
from ..dispatch.egress.rules import parse_url
from ..engine.worker.options import RunnerOptions


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
    """The registration of one worker. `last_seen` is ms since the epoch."""

    url: t.Annotated[str, Field(max_length=2048), AfterValidator(endpoint_url)]
    options: RegisteredOptions = RegisteredOptions()
    secret_ids: list[t.Annotated[str, Field(pattern="^[0-9a-f]{8}$")]] = Field(min_length=1, max_length=16)
    fingerprint: str = Field(pattern="^[A-Za-z0-9_-]{1,64}$")
    sdk: str = Field(default="", max_length=200)
    schemas: t.Annotated[dict[str, t.Any] | None, AfterValidator(_unicode_only)] = None
    schedules: t.Annotated[
        list[ScheduleModel], Field(max_length=limits.MAX_SCHEDULES), AfterValidator(_no_duplicates)
    ] = []
    last_seen: int = 0

    def endpoint(self, queue: str, *, max_timeout: int) -> AppEndpoint:
        """Return where the dispatcher delivers the jobs of `queue`. `max_timeout` is the server's, in ms."""
        return AppEndpoint(queue, self.url, min(self.options.timeout, max_timeout), self.fingerprint)

    def for_engine(self) -> RunnerOptions:
        """Return the options that the engine enforces."""
        options = self.options.model_dump(exclude={"timeout"})
        return RunnerOptions(**options, origin=str(parse_url(self.url).origin()))

    def differing_fields(self, other: Registration) -> list[str]:
        """Return why `other` is a different registration: its URL, its options, no secret in common."""
        fields = [name for name in ("url", "options") if getattr(self, name) != getattr(other, name)]
        if not set(self.secret_ids) & set(other.secret_ids):
            fields.append("secretIds")
        return fields
