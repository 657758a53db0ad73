"""When a job scheduler runs, and what its jobs are made of, as pydantic models."""

from __future__ import annotations

import typing as t

from pydantic import (
    AfterValidator,
    Field,
    SerializerFunctionWrapHandler,
    TypeAdapter,
    ValidationError,
    model_serializer,
    model_validator,
)

from .limits import MAX_DELAY_MS, MAX_NUMBER, MAX_PATTERN, MAX_TIME_ZONE
from .models import BoundedData, Closed, JobOptionsModel, Name, Span, Timestamp
from .refusals import Refusal, problem_of
from .scheduling import Template
from .states import FAILURE_POLICIES

_OF_ONE_JOB = ("deduplication", "delay", "jobId", "parent", "timestamp", *FAILURE_POLICIES)


def _scheduler_id(value: str) -> str:
    if ":" in value:
        raise ValueError('a job scheduler\'s id must not contain ":", which BullMQ makes its keys with')
    return value


SchedulerId = t.Annotated[Name, AfterValidator(_scheduler_id)]
_ID: TypeAdapter[str] = TypeAdapter(SchedulerId)


def check_scheduler_id(id: str) -> None:
    """Raise Refusal for an id that no job scheduler can have."""
    try:
        _ID.validate_python(id)
    except ValidationError as exc:
        raise Refusal(422, "invalid_request", f"id: {problem_of(exc.errors()[0])}") from None


class When(Closed):
    """When it runs: `every` so many ms, or by a cron `pattern` in the time zone `tz` (default: UTC)."""

    every: Span | None = None
    pattern: str | None = Field(default=None, min_length=1, max_length=MAX_PATTERN)
    tz: str | None = Field(default=None, min_length=1, max_length=MAX_TIME_ZONE)

    @model_validator(mode="after")
    def check_when(self) -> t.Self:
        """Refuse both or neither of the two.

        `check_patterns` of the API refuses patterns and zones that cannot work: that takes time, depends
        on the clock, and is not for what was accepted before.
        """
        if (self.every is None) == (self.pattern is None):
            raise ValueError("give every or pattern: one of the two")
        if self.pattern is None and self.tz is not None:
            raise ValueError("tz: is for a pattern, every has no clock")
        return self


class Times(When):
    """When the jobs of a scheduler run, at most `limit` times.

    The times of `every` are its multiples since the epoch, shifted by `offset` ms.
    """

    limit: int | None = Field(default=None, ge=1, le=MAX_NUMBER)
    offset: int | None = Field(default=None, ge=0, le=MAX_DELAY_MS)

    @model_validator(mode="after")
    def check_offset(self) -> t.Self:
        """Refuse an offset that is not a part of the interval."""
        if self.offset is not None and (self.every is None or self.offset >= self.every):
            raise ValueError("offset: is for every, and less than it")
        return self

    def given(self) -> dict[str, t.Any]:
        """Return the times that the request gives, with BullMQ's names."""
        values = {name: getattr(self, name) for name in Times.model_fields}
        return {name: value for name, value in values.items() if value is not None}


class RepeatModel(Times):
    """When it runs, as in BullMQ: from `startDate` until `endDate`, ms since the epoch.

    `immediately` adds the first job now, for a pattern too.
    """

    startDate: Timestamp | None = None
    endDate: Timestamp | None = None
    immediately: bool | None = None

    @model_validator(mode="after")
    def check_dates(self) -> t.Self:
        """Refuse two beginnings: BullMQ begins at a start date, or immediately."""
        if self.immediately and self.startDate is not None:
            raise ValueError("immediately and startDate exclude each other")
        if self.startDate is not None and self.endDate is not None and self.endDate < self.startDate:
            raise ValueError("endDate: is before startDate")
        return self

    def given(self) -> dict[str, t.Any]:
        """Return the times that the request gives, with BullMQ's names."""
        return self.model_dump(exclude_none=True)


class TemplateOptions(JobOptionsModel):
    """The options of a job scheduler's jobs: those that more than one job can have."""

    @classmethod
    def of_held(cls, opts: t.Mapping[str, t.Any]) -> t.Self:
        """Return the options of a template that another client may have written, without those that are not known.

        Raises ValidationError.
        """
        known = cls.model_fields.keys() - {*_OF_ONE_JOB}
        return cls.model_validate({name: value for name, value in opts.items() if name in known})

    @model_validator(mode="after")
    def check_options(self) -> t.Self:
        """Refuse the options of one job: a scheduler gives each of its jobs an id and a delay of its own."""
        wrong = [name for name in _OF_ONE_JOB if getattr(self, name) is not None]
        if wrong:
            raise ValueError(f"{', '.join(wrong)}: not for the jobs of a scheduler, which are more than one")
        return self


class ScheduleModel(Times):
    """A schedule that an app declares: the scheduler `id` makes jobs called `name` (default: `id`)."""

    id: SchedulerId
    name: Name | None = None
    data: BoundedData = None
    opts: TemplateOptions = TemplateOptions()

    @model_serializer(mode="wrap")
    def only_given(self, dump: SerializerFunctionWrapHandler) -> dict[str, t.Any]:
        """Return only the members that the app gave."""
        members = {**dump(self), "opts": self.opts.given()}
        return {name: members[name] for name in members if name in self.model_fields_set}

    def repeat(self) -> dict[str, t.Any]:
        """Return when it runs. The times of `every` count from the epoch, so that a deploy does not move them."""
        times = self.given()
        if self.every is not None:
            times["offset"] = self.offset or self.every
        return times

    def template(self) -> Template:
        """Return what its jobs are made of."""
        return Template(self.name or self.id, self.data, self.opts.given())
