"""Add jobs: one, a thousand or a flow, all of them or none."""

from __future__ import annotations

import typing as t
from dataclasses import dataclass

from .job import Job, Key

if t.TYPE_CHECKING:
    from .store import Store


@dataclass(frozen=True, slots=True)
class NewJob:
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
        """The job that waits for it."""
        parent = self.opts.get("parent")
        return Key(parent["queue"], parent["id"]) if parent else None

    @property
    def key(self) -> Key | None:
        """Where it will be, if it is given an id."""
        return Key(self.queue, self.job_id) if self.job_id else None


class Added(t.NamedTuple):
    """A job's id. `deduplicated`: it was there before, no job was made."""

    id: str
    deduplicated: bool


class ParentError(Exception):
    """The job's parent is gone, or the job that is there already has another one."""

    def __init__(self, new: NewJob, index: int, *, is_gone: bool) -> None:
        super().__init__("is gone" if is_gone else "cannot be replaced")
        self.new = new
        self.index = index
        self.is_gone = is_gone


def add_all(store: Store, jobs: t.Sequence[NewJob]) -> list[Added]:
    """Add all of them in their order; a parent comes before its children. Raises ParentError."""
    _check(store, jobs)
    # A child that has completed lets its parent run where no other is open: the open ones come first.
    order = sorted(range(len(jobs)), key=lambda index: _is_done(store, jobs[index]))
    added = {index: _add(store, jobs[index]) for index in order}
    return [added[index] for index in range(len(jobs))]


def put(store: Store, new: NewJob, job_id: str, *, scheduler_id: str | None = None) -> Job:
    """The job, stored and where it belongs at first."""
    queue = store.queue(new.queue)
    job = Job(
        key=queue.key(job_id),
        name=new.name,
        data=new.data,
        opts=_stored(new.opts) if scheduler_id is None else new.opts,
        timestamp=new.timestamp,
        delay=new.opts.get("delay") or 0,
        priority=new.opts.get("priority") or 0,
        parent_key=new.parent,
        scheduler_id=scheduler_id,
    )
    queue.jobs[job_id] = job
    store.added.append(job)
    if new.is_parent:
        job.state = "waiting-children"
        queue.waiting_children[job_id] = None
    elif job.delay:
        queue.postpone(job, new.timestamp + job.delay)
    else:
        queue.push_in_turn(job, is_next=bool(new.opts.get("lifo")))
    parent = store.find(job.parent_key)
    if parent is not None:
        parent.open_children[job.key] = None
    return job


def _check(store: Store, jobs: t.Sequence[NewJob]) -> None:
    coming: dict[Key, Key | None] = {}
    for index, new in enumerate(jobs):
        if new.parent and new.parent not in coming and not store.find(new.parent):
            raise ParentError(new, index, is_gone=True)
        if new.key is None:
            continue
        there = store.find(new.key)
        held = coming.get(new.key) or (there.parent_key if there else None)
        if new.parent and held and held != new.parent and (held in coming or store.find(held)):
            raise ParentError(new, index, is_gone=False)
        coming[new.key] = held or new.parent


def _is_done(store: Store, new: NewJob) -> bool:
    there = store.find(new.key) if new.parent else None
    return there is not None and there.state == "completed"


def _add(store: Store, new: NewJob) -> Added:
    queue = store.queue(new.queue)
    job_id = queue.new_id()
    if new.job_id is not None:
        job_id = new.job_id
        there = queue.jobs.get(job_id)
        if there is not None:
            _keep(store, there, new)
            return Added(job_id, deduplicated=True)
    kept_out_by = store.deduplicators[new.queue].admit(new, job_id, store.clock.ms)
    if kept_out_by is not None:
        return Added(kept_out_by, deduplicated=True)
    put(store, new, job_id)
    return Added(job_id, deduplicated=False)


def _keep(store: Store, there: Job, new: NewJob) -> None:
    """A job of this id is there: at most it gets a parent. BullMQ: handleDuplicatedJob."""
    if new.parent is None or (there.parent_key is not None and there.parent_key != new.parent):
        return
    there.parent_key = new.parent
    parent = store.find(new.parent)
    if parent is None:
        return
    if there.state == "completed":
        store.take_result(parent, there)
    else:
        parent.open_children[there.key] = None


def _stored(opts: t.Mapping[str, t.Any]) -> dict[str, t.Any]:
    """Options as BullMQ keeps them, and processors see them."""
    kept = {"attempts": 0, "delay": 0, **opts}
    backoff = kept.get("backoff")
    if isinstance(backoff, int):
        kept["backoff"] = {"type": "fixed", "delay": backoff}
    return kept
