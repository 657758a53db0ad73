"""The values that a job's options, name and data may have, as pydantic models in BullMQ's spelling.

The server checks each request with them, LocalNextMQ and the client check calls. `options.py` has the TypedDicts
that users write. Import this module lazily in the library: it imports pydantic.
"""

from __future__ import annotations

import typing as t

from pydantic import (
    AfterValidator,
    BaseModel,
    ConfigDict,
    Discriminator,
    Field,
    Tag,
    field_validator,
    model_validator,
)

from ..errors import ConfigurationError
from ..protocol.arguments import MAX_TIMESTAMP_MS, check_queue_name
from .backoff import BUILT_IN
from .job_ids import is_custom_id
from .limits import (
    MAX_ATTEMPTS,
    MAX_DATA_SIZE,
    MAX_DELAY_MS,
    MAX_ID,
    MAX_NAME,
    MAX_NUMBER,
    MAX_PRIORITY,
    MAX_TRACE_CONTEXT,
)
from .refusals import TAG, json_size, over_limit
from .states import FAILURE_POLICIES

Delay = t.Annotated[int, Field(ge=0, le=MAX_DELAY_MS)]
Span = t.Annotated[int, Field(ge=1, le=MAX_DELAY_MS)]
Priority = t.Annotated[int, Field(ge=0, le=MAX_PRIORITY)]
Count = t.Annotated[int, Field(ge=0, le=MAX_NUMBER)]
Timestamp = t.Annotated[int, Field(ge=0, lt=MAX_TIMESTAMP_MS)]
Name = t.Annotated[str, Field(min_length=1, max_length=MAX_NAME)]


class Closed(BaseModel):
    """The base of request bodies: unknown members are refused, and no value is converted."""

    model_config: t.ClassVar[ConfigDict] = ConfigDict(extra="forbid", strict=True)


def _queue_name(value: str) -> str:
    try:
        return check_queue_name(value)
    except ConfigurationError as exc:
        raise ValueError(str(exc)) from None


Queue = t.Annotated[str, AfterValidator(_queue_name)]


class BackoffModel(Closed):
    """How long to wait between attempts: `delay` ms; `jitter`, 0 to 1, is the random share of it."""

    type: t.Literal["fixed", "exponential"]
    delay: Delay
    jitter: float = Field(default=0, ge=0, le=1)


BackoffType = t.Annotated[str, Field(pattern=r"^[A-Za-z0-9._~-]{1,100}$")]


class CustomBackoffModel(Closed):
    """Wait as the strategy `type` of the queue's worker says; `jitter`, 0 to 1, is the random share of it."""

    type: BackoffType
    jitter: float = Field(default=0, ge=0, le=1)


class KeepJobsModel(Closed):
    """Which finished jobs to keep: at most `count`, none older than `age` s."""

    age: Count | None = None
    count: Count | None = None


class DeduplicationModel(Closed):
    """Add no other job with this `id`: until this job ends, or for `ttl` ms."""

    id: Name
    ttl: Span | None = None
    extend: bool | None = None
    replace: bool | None = None
    keepLastIfActive: bool | None = None


class ParentModel(Closed):
    """The job that waits for this one."""

    id: t.Annotated[str, Field(min_length=1, max_length=MAX_ID)]
    queue: Queue


class TelemetryModel(Closed):
    """The trace context of the producer, as bullmq-otel writes it."""

    metadata: t.Annotated[str, Field(max_length=MAX_TRACE_CONTEXT)] | None = None
    omitContext: bool | None = None


def _kind(value: object) -> str | None:
    if isinstance(value, int):
        return TAG + type(value).__name__
    return TAG + "object" if isinstance(value, (dict, Closed)) else None


def _backoff_kind(value: object) -> str | None:
    if isinstance(value, dict):
        members = t.cast("dict[str, object]", value)
        # With a delay it is one of BullMQ's own types, misspelt.
        is_custom = "type" in members and "delay" not in members and members["type"] not in BUILT_IN
        return _CUSTOM if is_custom else TAG + "object"
    return _CUSTOM if isinstance(value, CustomBackoffModel) else _kind(value)


def _one_of(words: str, kind: t.Callable[[object], str | None] = _kind) -> Discriminator:
    # Without a discriminator, pydantic reports a mistake once for each form of the value.
    return Discriminator(kind, custom_error_type="form", custom_error_message=f"Input should be {words}")


_CUSTOM = TAG + "custom"
_BACKOFF = "ms, or an object with type and delay"
BackoffOption = t.Annotated[
    t.Annotated[Delay, Tag(TAG + "int")] | t.Annotated[BackoffModel, Tag(TAG + "object")], _one_of(_BACKOFF)
]
JobBackoff = t.Annotated[
    t.Annotated[Delay, Tag(TAG + "int")]
    | t.Annotated[BackoffModel, Tag(TAG + "object")]
    | t.Annotated[CustomBackoffModel, Tag(_CUSTOM)],
    _one_of(_BACKOFF, _backoff_kind),
]
Keep = t.Annotated[
    t.Annotated[bool, Tag(TAG + "bool")]
    | t.Annotated[Count, Tag(TAG + "int")]
    | t.Annotated[KeepJobsModel, Tag(TAG + "object")],
    _one_of("a boolean, a number of jobs, or an object with age or count"),
]


class JobOptionsModel(Closed):
    """BullMQ's job options."""

    attempts: int | None = Field(default=None, ge=1, le=MAX_ATTEMPTS)
    backoff: JobBackoff | None = None
    deduplication: DeduplicationModel | None = None
    delay: Delay | None = None
    jobId: Name | None = None
    keepLogs: Count | None = None
    lifo: bool | None = None
    parent: ParentModel | None = None
    priority: Priority | None = None
    removeOnComplete: Keep | None = None
    removeOnFail: Keep | None = None
    sizeLimit: Count | None = None
    stackTraceLimit: Count | None = None
    telemetry: TelemetryModel | None = None
    timestamp: Timestamp | None = None
    failParentOnFailure: bool | None = None
    continueParentOnFailure: bool | None = None
    ignoreDependencyOnFailure: bool | None = None
    removeDependencyOnFailure: bool | None = None

    @field_validator("jobId")
    @classmethod
    def check_job_id(cls, value: str | None) -> str | None:
        """Apply BullMQ's rules for custom ids."""
        if value is not None and not is_custom_id(value):
            raise ValueError(
                'a custom job id must not contain ":", be a number, or be the name of a key of the queue'
            )
        return value

    @model_validator(mode="after")
    def check_policies(self) -> t.Self:
        """Refuse two failure policies: BullMQ takes one for a child."""
        chosen = [
            policy for policy in FAILURE_POLICIES if policy in self.model_fields_set and getattr(self, policy)
        ]
        if len(chosen) > 1:
            raise ValueError(f"{' and '.join(chosen)} exclude each other")
        return self

    def given(self) -> dict[str, t.Any]:
        """Return the options that the request names."""
        if not self.model_fields_set:
            return {}
        return self.model_dump(exclude_unset=True, exclude_none=True)


def check_data_size(value: t.Any, limit: int) -> t.Any:
    """Return `value`. Raises ValueError if its JSON has more than `limit` bytes of UTF-8."""
    if (size := json_size(value)) > limit:
        raise ValueError(over_limit(size, limit))
    return value


def _bounded(value: t.Any) -> t.Any:
    return check_data_size(value, MAX_DATA_SIZE)


BoundedData = t.Annotated[t.Any, AfterValidator(_bounded)]
