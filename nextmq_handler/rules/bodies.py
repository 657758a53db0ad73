"""The bodies of requests about jobs, queues and schedulers. Flows are in `flows.py`."""

from __future__ import annotations

import typing as t

from pydantic import AfterValidator, Field, model_validator

from .dead_letters import DeadLetter
from .limits import MAX_BULK, MAX_DELAY_MS, MAX_ID, MAX_PAGE, MAX_STARTS
from .log_text import log_row
from .models import (
    BoundedData,
    Closed,
    Count,
    Delay,
    JobOptionsModel,
    Name,
    Priority,
    Span,
    Timestamp,
)
from .schedules import RepeatModel, TemplateOptions
from .scheduling import Template

FinalState = t.Literal["failed", "completed"]
Starts = t.Annotated[int, Field(ge=1, le=MAX_STARTS)]


class NewJobBody(Closed):
    """A job to add."""

    name: Name
    data: t.Any = None
    opts: JobOptionsModel = JobOptionsModel()


class NewJobsBody(Closed):
    """Jobs to add."""

    jobs: list[NewJobBody] = Field(min_length=1, max_length=MAX_BULK)


class RetryBody(Closed):
    """How to retry a finished job. It keeps its data unless `data` is given: any JSON, at most 1 MiB."""

    state: FinalState = Field(default="failed", description="the state that it ended in")
    resetAttemptsMade: bool = False
    resetAttemptsStarted: bool = False
    data: BoundedData = None

    @property
    def has_data(self) -> bool:
        """Whether the job gets new data, which may be null."""
        return "data" in self.model_fields_set


class DataBody(Closed):
    """A job's new data: any JSON, at most 1 MiB."""

    data: BoundedData


class ProgressBody(Closed):
    """A running job's progress: any JSON, at most 1 MiB."""

    progress: BoundedData


class DelayBody(Closed):
    """How many ms to wait from now on."""

    delay: Delay


class PriorityBody(Closed):
    """The new priority: 1 is the highest, 0 is none. `lifo` puts the job before others of that priority."""

    priority: Priority
    lifo: bool = False


class LogRowBody(Closed):
    """A log line to add. With `keepLogs`, only the last that many lines stay.

    `row` is any JSON: what is not text becomes text, and a line of more than 65,536 characters is cut.
    """

    row: t.Annotated[t.Any, AfterValidator(log_row)]
    keepLogs: Count | None = None


class ConcurrencyBody(Closed):
    """How many jobs may run at once."""

    concurrency: Starts


class RateLimitBody(Closed):
    """At most `max` jobs start in each `duration` ms."""

    max: Starts
    duration: Span


class RestBody(Closed):
    """For how many ms no job starts."""

    duration: Span


class DrainBody(Closed):
    """Whether to remove delayed jobs too."""

    delayed: bool = False


class CleanBody(Closed):
    """Which jobs to remove: at most `limit` that have been in `state` for more than `grace` ms."""

    grace: int = Field(ge=0, le=MAX_DELAY_MS)
    limit: int = Field(default=MAX_PAGE, ge=1, le=MAX_PAGE)
    state: t.Literal["completed", "wait", "active", "paused", "prioritized", "delayed", "failed"] = "completed"


class ObliterateBody(Closed):
    """Whether to remove running jobs too."""

    force: bool = False


class RetryJobsBody(Closed):
    """Which jobs to retry: those that ended in `state` before `timestamp`, ms since the epoch."""

    state: FinalState = "failed"
    timestamp: Timestamp | None = None


class TrimEventsBody(Closed):
    """About how many events to keep."""

    maxLength: Count


class RedriveBody(Closed):
    """Which dead letters to redrive: at most `limit` that match every member that is not null.

    With one id, `data` replaces the data of its job: any JSON, at most 1 MiB.
    """

    ids: t.Annotated[
        list[t.Annotated[str, Field(min_length=1, max_length=MAX_ID)]] | None, Field(max_length=MAX_PAGE)
    ] = None
    name: Name | None = None
    reason: t.Annotated[str, Field(min_length=1, max_length=4096)] | None = None
    limit: int = Field(default=MAX_PAGE, ge=1, le=MAX_PAGE)
    data: BoundedData = None

    @model_validator(mode="after")
    def _data_is_of_one(self) -> t.Self:
        if self.has_data and (self.ids is None or len(self.ids) != 1):
            raise ValueError("data is for one dead letter: give its id in ids")
        return self

    @property
    def has_data(self) -> bool:
        """Whether the job gets new data, which may be null."""
        return "data" in self.model_fields_set

    def selects(self, dead_letter: DeadLetter) -> bool:
        """Return whether a dead letter has the wanted name and reason."""
        if self.name is not None and dead_letter["name"] != self.name:
            return False
        return self.reason is None or self.reason in dead_letter["reason"]


class TemplateBody(Closed):
    """What a scheduler's jobs are made of. Their name is the scheduler's id by default."""

    name: Name | None = None
    data: BoundedData = None
    opts: TemplateOptions = TemplateOptions()


class SchedulerBody(Closed):
    """When a job scheduler runs, and what its jobs are made of."""

    repeat: RepeatModel
    template: TemplateBody = TemplateBody()

    def template_of(self, id: str) -> Template:
        """Return what the jobs of the scheduler `id` are made of."""
        return Template(self.template.name or id, self.template.data, self.template.opts.given())
