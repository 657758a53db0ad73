"""A job as the simulator holds it, and as tests see it."""

from __future__ import annotations

import copy
import typing as t
from dataclasses import dataclass, field, fields

from ....rules.delivery_log import DeliveryEntry
from ....rules.results import JobResult, unfinished
from ....rules.states import FAILURE_POLICIES
from ....rules.views import ParentView

State = t.Literal["waiting", "active", "delayed", "prioritized", "waiting-children", "completed", "failed"]


class Key(t.NamedTuple):
    """Identify a job: the name of its queue, and its id there."""

    queue: str
    id: str

    def __str__(self) -> str:
        return f"{self.queue}:{self.id}"


@dataclass(frozen=True, slots=True)
class NewSimulatedJob:
    """A job to add, with BullMQ's long option names. `timestamp` is ms since the epoch."""

    queue: str
    name: str
    data: t.Any
    opts: dict[str, t.Any]
    timestamp: int
    job_id: str | None = None
    is_parent: bool = False

    @property
    def parent(self) -> Key | None:
        """The parent job, which waits for this one."""
        parent = self.opts.get("parent")
        return Key(parent["queue"], parent["id"]) if parent else None

    @property
    def key(self) -> Key | None:
        """The key of the job, if it has a custom id."""
        return Key(self.queue, self.job_id) if self.job_id else None


@dataclass(slots=True, eq=False)
class SimulatedJob:
    """What BullMQ keeps of a job. Times are ms since the epoch, durations ms; `opts` are as BullMQ spells them."""

    key: Key
    name: str
    data: t.Any
    opts: dict[str, t.Any]
    timestamp: int
    delay: int
    priority: int
    parent_key: Key | None = None
    repeat_job_key: str | None = None
    """The id of the scheduler that added the job."""
    state: State = "waiting"
    score: int = 0
    """The order among the jobs that are prioritized or delayed."""
    progress: t.Any = 0
    attempts_made: int = 0
    attempts_started: int = 0
    return_value: t.Any = None
    failed_reason: str | None = None
    stacktrace: list[str] = field(default_factory=list[str])
    processed_on: int | None = None
    finished_on: int | None = None
    deferred_failure: str | None = None
    logs: list[str] = field(default_factory=list[str])
    open_children: dict[Key, None] = field(default_factory=dict[Key, None])
    processed_children: dict[Key, t.Any] = field(default_factory=dict[Key, t.Any])
    ignored_children: dict[Key, str] = field(default_factory=dict[Key, str])
    failed_children: dict[Key, None] = field(default_factory=dict[Key, None])
    letters: list[Key] = field(default_factory=list[Key])
    """The dead letters of the job, the newest last."""
    delivery_id: str | None = None
    deliveries: list[DeliveryEntry] = field(default_factory=list[DeliveryEntry])
    waits: list[int] = field(default_factory=list[int])
    starts: list[int] = field(default_factory=list[int])
    is_removed: bool = False
    stalled_counter: int = 0

    @property
    def queue_name(self) -> str:
        """The name of the queue."""
        return self.key.queue

    @property
    def id(self) -> str:
        """The id of the job in its queue."""
        return self.key.id

    @property
    def parent(self) -> ParentView | None:
        """The parent's id and the name of its queue, as deliveries and views show them."""
        return {"id": self.parent_key.id, "queue": self.parent_key.queue} if self.parent_key else None

    @property
    def policy(self) -> str | None:
        """What the failure of the job means for its parent. None: the parent keeps waiting."""
        return next((policy for policy in FAILURE_POLICIES if self.opts.get(policy)), None)

    @property
    def children(self) -> dict[str, dict[Key, t.Any]]:
        """The children by their outcome, as views show it."""
        return {
            "processed": self.processed_children,
            "unprocessed": self.open_children,
            "failed": self.failed_children,
            "ignored": self.ignored_children,
        }

    @property
    def result(self) -> JobResult:
        """The state, and the result if the job has finished."""
        if self.finished_on is None:
            return unfinished(self.state)
        return {
            "state": self.state,
            "returnValue": self.return_value,
            "failedReason": self.failed_reason,
            "stacktrace": self.stacktrace,
            "finishedOn": self.finished_on,
        }

    @property
    def deduplication_id(self) -> str | None:
        """The deduplication id that the job was added with."""
        deduplication: dict[str, t.Any] = self.opts.get("deduplication") or {}
        return deduplication.get("id")


@dataclass(frozen=True, slots=True, kw_only=True)
class LocalJob:
    """A job at the moment when the test asked for it.

    Times are ms since the epoch, None until they happened. Durations are ms. `opts` are as BullMQ spells them.
    """

    queue_name: str
    id: str
    name: str
    data: t.Any
    opts: dict[str, t.Any]
    state: State
    attempts_made: int
    attempts_started: int
    waits: list[int]
    """How long the job waited before each retry."""
    starts: list[int]
    """The time of each delivery."""
    delay: int
    priority: int
    progress: t.Any
    return_value: t.Any
    failed_reason: str | None
    stacktrace: list[str]
    logs: list[str]
    parent: tuple[str, str] | None
    """The queue and the id of the parent job."""
    timestamp: int
    processed_on: int | None
    finished_on: int | None
    is_removed: bool
    """Whether the job was removed from its queue, by `remove_on_complete` or otherwise."""


def recorded(job: SimulatedJob) -> LocalJob:
    """Return the job as it is now. Later changes of the job do not change the copy."""
    values: dict[str, t.Any] = {each.name: copy.deepcopy(getattr(job, each.name)) for each in fields(LocalJob)}
    values["parent"] = job.parent_key
    return LocalJob(**values)
