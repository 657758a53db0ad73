"""Schedules as requests describe them: when a job scheduler runs, and what its jobs are made of."""

from __future__ import annotations

import time
import typing as t

from pydantic import (
    AfterValidator,
    Field,
    SerializerFunctionWrapHandler,
    model_serializer,
    model_validator,
)

from nextmq_handler.rules.cron import next_run

from ..engine.queues.job import FAILURE_POLICIES
from ..engine.queues.scheduling import Template
from .closed import Closed
from .options import MAX_DELAY, MAX_NUMBER, BoundedData, JobOptions, Name

MAX_PATTERN = 200
"""The longest cron pattern, in characters."""

_OF_ONE_JOB = ("deduplication", "delay", "jobId", "parent", "timestamp", *FAILURE_POLICIES)


def _scheduler_id(value: str) -> str:
    if ":" in value:
        raise ValueError('a job scheduler\'s id must not contain ":", which BullMQ makes its keys with')
    return value


SchedulerId = t.Annotated[str, Field(min_length=1, max_length=256), AfterValidator(_scheduler_id)]


class When(Closed):
    """When it runs: `every` so many ms, or by a cron `pattern` on the clocks of `tz`, UTC without."""

    every: int | None = Field(default=None, ge=1, le=MAX_DELAY)
    pattern: str | None = Field(default=None, min_length=1, max_length=MAX_PATTERN)
    tz: str | None = Field(default=None, min_length=1, max_length=64)

    @model_validator(mode="after")
    def check_when(self) -> t.Self:
        """One way to say when, in words that mean something."""
        if (self.every is None) == (self.pattern is None):
            raise ValueError("give every or pattern: one of the two")
        if self.pattern is not None:
            next_run(self.pattern, self.tz, round(time.time() * 1000))
        elif self.tz is not None:
            raise ValueError("tz: is for a pattern, every has no clock")
        return self


class Times(When):
    """When a scheduler's jobs run, `limit` times; `offset` shifts `every` by so many ms from its multiples since
    the epoch.
    """

    limit: int | None = Field(default=None, ge=1, le=MAX_NUMBER)
    offset: int | None = Field(default=None, ge=0, le=MAX_DELAY)

    @model_validator(mode="after")
    def check_offset(self) -> t.Self:
        """An offset is a part of the interval."""
        if self.offset is not None and (self.every is None or self.offset >= self.every):
            raise ValueError("offset: is for every, and less than it")
        return self

    def given(self) -> dict[str, t.Any]:
        """What the request says, with BullMQ's names."""
        values = {name: getattr(self, name) for name in Times.model_fields}
        return {name: value for name, value in values.items() if value is not None}


class TemplateOptions(JobOptions):
    """The options of a job scheduler's jobs: those that can be of more than one job."""

    @model_validator(mode="after")
    def check_options(self) -> t.Self:
        """A scheduler gives each of its jobs an id and a delay of its own."""
        wrong = [name for name in _OF_ONE_JOB if getattr(self, name) is not None]
        if wrong:
            raise ValueError(f"{', '.join(wrong)}: not for the jobs of a scheduler, which are more than one")
        return self


class Schedule(Times):
    """A schedule that an app declares: a scheduler of this `id` makes jobs called `name`, `id` without."""

    id: SchedulerId
    name: Name | None = None
    data: BoundedData = None
    opts: TemplateOptions = TemplateOptions()

    @model_serializer(mode="wrap")
    def said(self, dump: SerializerFunctionWrapHandler) -> dict[str, t.Any]:
        """What the app said of it, and no more."""
        members = {**dump(self), "opts": self.opts.given()}
        return {name: members[name] for name in members if name in self.model_fields_set}

    def repeat(self) -> dict[str, t.Any]:
        """When it runs. `every` has its times since the epoch, so that a deploy is none."""
        times = self.given()
        if self.every is not None:
            times["offset"] = self.offset or self.every
        return times

    def template(self) -> Template:
        """What its jobs are made of."""
        return Template(self.name or self.id, self.data, self.opts.given())
