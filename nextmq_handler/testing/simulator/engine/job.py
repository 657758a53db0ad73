"""A job as the queue in process holds it, and as tests see it."""

from __future__ import annotations

import copy
import typing as t
from dataclasses import dataclass, field

from ....rules.delivery_log import DeliveryEntry
from ....rules.states import FAILURE_POLICIES

State = t.Literal["waiting", "active", "delayed", "prioritized", "waiting-children", "completed", "failed"]


class Key(t.NamedTuple):
    """Where a job is: the name of its queue, and its id there."""

    queue: str
    id: str

    def __str__(self) -> str:
        return f"{self.queue}:{self.id}"


@dataclass(slots=True, eq=False)
class Job:
    """What BullMQ keeps of a job. Times are ms since the epoch, durations ms; `opts` are as BullMQ spells them."""

    key: Key
    name: str
    data: t.Any
    opts: dict[str, t.Any]
    timestamp: int
    delay: int
    priority: int
    parent_key: Key | None = None
    scheduler_id: str | None = None
    state: State = "waiting"
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
    delivery_id: str | None = None
    deliveries: list[DeliveryEntry] = field(default_factory=list[DeliveryEntry])
    waits: list[int] = field(default_factory=list[int])
    starts: list[int] = field(default_factory=list[int])
    is_removed: bool = False
    stalled_counter: int = 0

    @property
    def id(self) -> str:
        """Its id in its queue."""
        return self.key.id

    @property
    def parent(self) -> dict[str, str] | None:
        """The parent's id and the name of its queue, as deliveries and views show them."""
        return {"id": self.parent_key.id, "queue": self.parent_key.queue} if self.parent_key else None

    @property
    def attempts(self) -> int:
        """How many attempts it may burn."""
        return int(self.opts.get("attempts") or 1)

    @property
    def policy(self) -> str | None:
        """What its failure means for its parent; None: the parent waits on."""
        return next((policy for policy in FAILURE_POLICIES if self.opts.get(policy)), None)

    @property
    def deduplication_id(self) -> str | None:
        """The deduplication id that it was added with."""
        deduplication: dict[str, t.Any] = self.opts.get("deduplication") or {}
        return deduplication.get("id")


@dataclass(frozen=True, slots=True, kw_only=True)
class LocalJob:
    """A job as it was when it was looked at.

    Times are ms since the epoch, None until they happened; durations are ms; `opts` are as BullMQ spells them.
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
    """How long it waited after each failed attempt that was followed by another: its retry schedule."""
    starts: list[int]
    """When it was delivered, each time."""
    delay: int
    priority: int
    progress: t.Any
    return_value: t.Any
    failed_reason: str | None
    stacktrace: list[str]
    logs: list[str]
    parent: tuple[str, str] | None
    """The queue and the id of the job that waits for it."""
    timestamp: int
    processed_on: int | None
    finished_on: int | None
    is_removed: bool
    """Whether its queue has it no more, by `remove_on_complete` or otherwise."""


def recorded(job: Job) -> LocalJob:
    """The job as it is now: what becomes of it later does not change it."""
    return LocalJob(
        queue_name=job.key.queue,
        id=job.id,
        name=job.name,
        data=copy.deepcopy(job.data),
        opts=copy.deepcopy(job.opts),
        state=job.state,
        attempts_made=job.attempts_made,
        attempts_started=job.attempts_started,
        waits=[*job.waits],
        starts=[*job.starts],
        delay=job.delay,
        priority=job.priority,
        progress=copy.deepcopy(job.progress),
        return_value=copy.deepcopy(job.return_value),
        failed_reason=job.failed_reason,
        stacktrace=[*job.stacktrace],
        logs=[*job.logs],
        parent=job.parent_key,
        timestamp=job.timestamp,
        processed_on=job.processed_on,
        finished_on=job.finished_on,
        is_removed=job.is_removed,
    )
