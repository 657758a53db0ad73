"""What a job may be: BullMQ's options, its name and its data, each with its limit."""

from __future__ import annotations

import json
import typing as t

from pydantic import AfterValidator, Discriminator, Field, Tag, field_validator, model_validator

from nextmq_handler.errors import ConfigurationError
from nextmq_handler.protocol.names import check_queue_name
from nextmq_handler.protocol.times import MAX_TIMESTAMP_MS
from nextmq_handler.rules.backoff import BUILT_IN

from ..engine.queues.job import FAILURE_POLICIES, MAX_PRIORITY
from ..engine.queues.jobs import is_custom_id
from .closed import Closed

TAG = "|"
"""What the forms that a value may have begin with, which are no part of its path."""

MAX_DATA_SIZE = 1024 * 1024
"""The largest job data, in bytes of JSON."""

MAX_DELAY = 10 * 365 * 86_400_000
"""The longest delay, in ms: ten years."""

MAX_NUMBER = 10**12  # BullMQ's scripts keep 14 digits of an option

Delay = t.Annotated[int, Field(ge=0, le=MAX_DELAY)]
Priority = t.Annotated[int, Field(ge=0, le=MAX_PRIORITY)]
Count = t.Annotated[int, Field(ge=0, le=MAX_NUMBER)]
Name = t.Annotated[str, Field(min_length=1, max_length=256)]


def _queue_name(value: str) -> str:
    try:
        return check_queue_name(value)
    except ConfigurationError as exc:
        raise ValueError(str(exc)) from None


Queue = t.Annotated[str, AfterValidator(_queue_name)]


class Backoff(Closed):
    """How long to wait between attempts: `delay` ms, spread by `jitter`, a share of it."""

    type: t.Literal["fixed", "exponential"]
    delay: Delay
    jitter: float = Field(default=0, ge=0, le=1)


BackoffType = t.Annotated[str, Field(pattern=r"^[A-Za-z0-9._~-]{1,100}$")]


class CustomBackoff(Closed):
    """To wait as the strategy called `type` of the queue's worker says, spread by `jitter`, a share of it."""

    type: BackoffType
    jitter: float = Field(default=0, ge=0, le=1)


class KeepJobs(Closed):
    """Which finished jobs stay: at most `count`, none older than `age` s."""

    age: Count | None = None
    count: Count | None = None


class Deduplication(Closed):
    """Keep others with this `id` out: until the job ends, or for `ttl` ms."""

    id: t.Annotated[str, Field(min_length=1, max_length=256)]
    ttl: t.Annotated[int, Field(ge=1, le=MAX_DELAY)] | None = None
    extend: bool | None = None
    replace: bool | None = None
    keepLastIfActive: bool | None = None


class Parent(Closed):
    """A job that waits for this one."""

    id: t.Annotated[str, Field(min_length=1, max_length=1024)]
    queue: Queue


class Telemetry(Closed):
    """The trace context of the producer, as bullmq-otel writes it."""

    metadata: t.Annotated[str, Field(max_length=8192)] | None = None
    omitContext: bool | None = None


def _kind(value: object) -> str | None:
    if isinstance(value, int):
        return TAG + type(value).__name__
    return TAG + "object" if isinstance(value, (dict, Closed)) else None


def _backoff_kind(value: object) -> str | None:
    if isinstance(value, dict):
        members = t.cast("dict[str, object]", value)
        # With a delay it is a misspelt one of BullMQ's own.
        is_custom = "type" in members and "delay" not in members and members["type"] not in BUILT_IN
        return _CUSTOM if is_custom else TAG + "object"
    return _CUSTOM if isinstance(value, CustomBackoff) else _kind(value)


def _one_of(words: str, kind: t.Callable[[object], str | None] = _kind) -> Discriminator:
    # Without, a mistake in one form is told as one of another form.
    return Discriminator(kind, custom_error_type="form", custom_error_message=f"Input should be {words}")


_CUSTOM = TAG + "custom"
_BACKOFF = "ms, or an object with type and delay"
BackoffOption = t.Annotated[
    t.Annotated[Delay, Tag(TAG + "int")] | t.Annotated[Backoff, Tag(TAG + "object")], _one_of(_BACKOFF)
]
JobBackoff = t.Annotated[
    t.Annotated[Delay, Tag(TAG + "int")]
    | t.Annotated[Backoff, Tag(TAG + "object")]
    | t.Annotated[CustomBackoff, Tag(_CUSTOM)],
    _one_of(_BACKOFF, _backoff_kind),
]
Keep = t.Annotated[
    t.Annotated[bool, Tag(TAG + "bool")]
    | t.Annotated[Count, Tag(TAG + "int")]
    | t.Annotated[KeepJobs, Tag(TAG + "object")],
    _one_of("a boolean, a number of jobs, or an object with age or count"),
]


class JobOptions(Closed):
    """BullMQ's job options."""

    attempts: int | None = Field(default=None, ge=1, le=10_000)
    backoff: JobBackoff | None = None
    deduplication: Deduplication | None = None
    delay: Delay | None = None
    jobId: str | None = Field(default=None, min_length=1, max_length=256)
    keepLogs: Count | None = None
    lifo: bool | None = None
    parent: Parent | None = None
    priority: Priority | None = None
    removeOnComplete: Keep | None = None
    removeOnFail: Keep | None = None
    sizeLimit: Count | None = None
    stackTraceLimit: Count | None = None
    telemetry: Telemetry | None = None
    timestamp: int | None = Field(default=None, ge=0, lt=MAX_TIMESTAMP_MS)
    failParentOnFailure: bool | None = None
    continueParentOnFailure: bool | None = None
    ignoreDependencyOnFailure: bool | None = None
    removeDependencyOnFailure: bool | None = None

    @field_validator("jobId")
    @classmethod
    def check_job_id(cls, value: str | None) -> str | None:
        """BullMQ's own rules for custom ids."""
        if value is not None and not is_custom_id(value):
            raise ValueError(
                'a custom job id must not contain ":", be a whole number, or name a part of the queue'
            )
        return value

    @model_validator(mode="after")
    def check_policies(self) -> t.Self:
        """BullMQ takes one policy for a child that fails."""
        chosen = [
            policy for policy in FAILURE_POLICIES if policy in self.model_fields_set and getattr(self, policy)
        ]
        if len(chosen) > 1:
            raise ValueError(f"{' and '.join(chosen)} exclude each other")
        return self

    def given(self) -> dict[str, t.Any]:
        """The options that the request names."""
        if not self.model_fields_set:
            return {}
        return self.model_dump(exclude_unset=True, exclude_none=True)


def check_data_size(value: t.Any, limit: int) -> t.Any:
    """`value` itself. Raises ValueError where its JSON is over `limit` bytes."""
    if (size := len(json.dumps(value, separators=(",", ":")))) > limit:
        raise ValueError(over_limit(size, limit))
    return value


def over_limit(size: int, limit: int) -> str:
    """What to say of data that is too large; both in bytes."""
    return f"the data is {size} bytes, over the limit of {limit}: store it elsewhere"


BoundedData = t.Annotated[t.Any, AfterValidator(lambda value: check_data_size(value, MAX_DATA_SIZE))]
