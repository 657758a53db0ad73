"""Add jobs: one, a thousand or a flow, all of them or none."""

from __future__ import annotations

import typing as t

from ....rules.refusals import parent_refused
from .job import Key, NewSimulatedJob, SimulatedJob

if t.TYPE_CHECKING:
    from .store import Store


class SimulatedAdd(t.NamedTuple):
    """The id of the job. `deduplicated`: it existed before, and no job was added."""

    id: str
    deduplicated: bool


def add_all(store: Store, jobs: t.Sequence[NewSimulatedJob]) -> list[SimulatedAdd]:
    """Add the jobs in their order; a parent comes before its children.

    Raises Refusal for a parent that does not exist, or that an existing job cannot get.
    """
    _check(store, jobs)
    # A child that has completed lets its parent run unless another is open: the open ones come first.
    order = sorted(range(len(jobs)), key=lambda index: _is_done(store, jobs[index]))
    added = {index: _add(store, jobs[index]) for index in order}
    return [added[index] for index in range(len(jobs))]


def _check(store: Store, jobs: t.Sequence[NewSimulatedJob]) -> None:
    coming: dict[Key, Key | None] = {}
    for index, new in enumerate(jobs):
        if new.parent and new.parent not in coming and not store.find(new.parent):
            raise parent_refused(index, new.opts["parent"], "is gone", is_gone=True)
        if new.key is None:
            continue
        there = store.find(new.key)
        held = coming.get(new.key) or (there.parent_key if there else None)
        if new.parent and held and held != new.parent and (held in coming or store.find(held)):
            raise parent_refused(index, new.opts["parent"], "cannot be replaced", is_gone=False)
        coming[new.key] = held or new.parent


def _is_done(store: Store, new: NewSimulatedJob) -> bool:
    there = store.find(new.key) if new.parent else None
    return there is not None and there.state == "completed"


def _add(store: Store, new: NewSimulatedJob) -> SimulatedAdd:
    job_id = store.queue(new.queue).new_id()
    if new.key is not None:
        job_id = new.key.id
        there = store.find(new.key)
        if there is not None:
            _adopt(store, there, new)
            return SimulatedAdd(job_id, deduplicated=True)
    holder = store.deduplicators[new.queue].admit(new, job_id, store.now)
    if holder is not None:
        return SimulatedAdd(holder, deduplicated=True)
    store.put(new, job_id)
    return SimulatedAdd(job_id, deduplicated=False)


def _adopt(store: Store, there: SimulatedJob, new: NewSimulatedJob) -> None:
    """Give the existing job with this id its parent, if it has none. BullMQ: handleDuplicatedJob."""
    if new.parent is None or there.parent_key not in (None, new.parent):
        return
    there.parent_key = new.parent
    parent = store.find(new.parent)
    if parent is None:
        return
    if there.state == "completed":
        store.take_result(parent, there)
    else:
        parent.open_children[there.key] = None
