"""Deduplication: which job keeps out others with its deduplication id, and for how long."""

from __future__ import annotations

import typing as t
from dataclasses import dataclass

if t.TYPE_CHECKING:
    from .job import NewSimulatedJob, SimulatedJob
    from .queue_state import QueueState


@dataclass(slots=True)
class _Holder:
    job_id: str
    until: int | None
    """None: until the job finishes."""


class Deduplicator:
    """The deduplication ids of one queue. Times are ms since the epoch. BullMQ: deduplicateJob."""

    def __init__(self, queue: QueueState) -> None:
        self._queue = queue
        self._holders: dict[str, _Holder] = {}
        self._following: dict[str, tuple[NewSimulatedJob, str]] = {}

    def holder(self, id: str, now: int) -> str | None:
        """Return the job that holds the id."""
        held = self._held(id, now)
        return held.job_id if held else None

    def admit(self, new: NewSimulatedJob, job_id: str, now: int) -> str | None:
        """Return None if the new job may be added as `job_id`, else the job that keeps it out."""
        opts: dict[str, t.Any] | None = new.opts.get("deduplication")
        if not opts:
            return None
        id: str = opts["id"]
        held = self._held(id, now)
        if held is None:
            self._hold(opts, job_id, now)
            return None
        replaces = opts.get("replace") and not new.is_parent
        holder = self._queue.jobs.get(held.job_id)
        if replaces and holder is not None and holder.state == "delayed":
            self._queue.remove(holder)
            self._following.pop(id, None)
            if opts.get("ttl") and not opts.get("extend") and not opts.get("keepLastIfActive"):
                held.job_id = job_id  # the rest of the time-to-live continues
            else:
                self._hold(opts, job_id, now)
            return None
        if held.until is None and holder is None:
            self._following.pop(id, None)
            self._hold(opts, job_id, now)
            return None
        if opts.get("keepLastIfActive") and holder is not None and holder.state == "active":
            self._following[id] = (new, job_id)
            held.until = None
        elif opts.get("extend") and opts.get("ttl") and not replaces:
            self._hold(opts, held.job_id, now)
        return held.job_id

    def finished(self, job: SimulatedJob, now: int) -> tuple[NewSimulatedJob, str] | None:
        """Release the id of a finished job; return the job to add next and its id, if any. That job holds it."""
        id = job.deduplication_id
        if id is None:
            return None
        held = self._held(id, now)
        if held is not None and held.until is None and held.job_id == job.id:
            del self._holders[id]
        following = self._following.pop(id, None)
        if following is not None:
            new, job_id = following
            self._hold(new.opts["deduplication"], job_id, now)
        return following

    def removed(self, job: SimulatedJob, now: int) -> bool:
        """Release the id of a removed job; return whether the job still held it."""
        id = job.deduplication_id
        if id is None or self.holder(id, now) != job.id:
            return False
        self._following.pop(id, None)
        return self.forget(id, now)

    def forget(self, id: str, now: int) -> bool:
        """Release the id; return whether a job held it."""
        was_held = self._held(id, now) is not None
        self._holders.pop(id, None)
        return was_held

    def _hold(self, opts: dict[str, t.Any], job_id: str, now: int) -> None:
        ttl = None if opts.get("keepLastIfActive") else opts.get("ttl")
        self._holders[opts["id"]] = _Holder(job_id, now + ttl if ttl else None)

    def _held(self, id: str, now: int) -> _Holder | None:
        held = self._holders.get(id)
        if held is not None and held.until is not None and held.until <= now:
            del self._holders[id]
            return None
        return held
