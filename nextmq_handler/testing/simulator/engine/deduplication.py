"""Deduplication: which job keeps others with its deduplication id out, and for how long."""

from __future__ import annotations

import typing as t
from dataclasses import dataclass

if t.TYPE_CHECKING:
    from .adding import NewJob
    from .job import Job
    from .queue_state import QueueState


@dataclass(slots=True)
class _Holder:
    job_id: str
    until: int | None
    """None: until the job ends."""


class Deduplicator:
    """The deduplication ids of one queue. BullMQ: deduplicateJob, and what follows when its job finishes."""

    def __init__(self, queue: QueueState) -> None:
        self._queue = queue
        self._holders: dict[str, _Holder] = {}
        self._following: dict[str, tuple[NewJob, str]] = {}

    def holder(self, id: str, now: int) -> str | None:
        """The job that keeps others out."""
        held = self._held(id, now)
        return held.job_id if held else None

    def admit(self, new: NewJob, job_id: str, now: int) -> str | None:
        """None where the job that would get `job_id` is to be added; else the job that keeps it out."""
        opts: dict[str, t.Any] | None = new.opts.get("deduplication")
        if not opts:
            return None
        id: str = opts["id"]
        held = self._held(id, now)
        if held is not None and opts.get("replace") and not new.is_parent:
            return self._replace(new, opts, held, job_id, now)
        if held is None or self._is_stale(held):
            if held is not None:
                self._following.pop(id, None)
            self._hold(opts, job_id, now)
            return None
        if not self._keep_for_later(new, job_id, held) and opts.get("extend") and opts.get("ttl"):
            self._hold(opts, held.job_id, now)
        return held.job_id

    def finished(self, job: Job, now: int) -> tuple[NewJob, str] | None:
        """The job lets others in. The one that is to be added in its place, with its id, where it kept one."""
        id = job.deduplication_id
        if id is None:
            return None
        held = self._held(id, now)
        if held is not None and held.until is None and held.job_id == job.id:
            del self._holders[id]
        return self._following.pop(id, None)

    def adopt(self, new: NewJob, job_id: str, now: int) -> None:
        """The job was added in the place of one that has finished: it keeps others out from here on."""
        self._hold(new.opts["deduplication"], job_id, now)

    def removed(self, job: Job, now: int) -> bool:
        """Let others in, if it is still this job that keeps them out; whether it was."""
        id = job.deduplication_id
        if id is None or self.holder(id, now) != job.id:
            return False
        self._following.pop(id, None)
        return self.forget(id, now)

    def forget(self, id: str, now: int) -> bool:
        """Let others with this id in; whether any were kept out."""
        was_held = self._held(id, now) is not None
        self._holders.pop(id, None)
        return was_held

    def _replace(self, new: NewJob, opts: dict[str, t.Any], held: _Holder, job_id: str, now: int) -> str | None:
        replaced = self._queue.jobs.get(held.job_id)
        if replaced is not None and replaced.state == "delayed":
            self._queue.remove(replaced)
            self._following.pop(opts["id"], None)
            if opts.get("ttl") and not opts.get("extend") and not opts.get("keepLastIfActive"):
                held.job_id = job_id  # what is left of its time goes on
            else:
                self._hold(opts, job_id, now)
            return None
        if self._is_stale(held):
            self._following.pop(opts["id"], None)
            self._hold(opts, job_id, now)
            return None
        self._keep_for_later(new, job_id, held)
        return held.job_id

    def _keep_for_later(self, new: NewJob, job_id: str, held: _Holder) -> bool:
        opts: dict[str, t.Any] = new.opts["deduplication"]
        if not opts.get("keepLastIfActive") or held.job_id not in self._queue.active:
            return False
        self._following[opts["id"]] = (new, job_id)
        held.until = None
        return True

    def _hold(self, opts: dict[str, t.Any], job_id: str, now: int) -> None:
        ttl = None if opts.get("keepLastIfActive") else opts.get("ttl")
        self._holders[opts["id"]] = _Holder(job_id, now + ttl if ttl else None)

    def _is_stale(self, held: _Holder) -> bool:
        return held.until is None and held.job_id not in self._queue.jobs

    def _held(self, id: str, now: int) -> _Holder | None:
        held = self._holders.get(id)
        if held is not None and held.until is not None and held.until <= now:
            del self._holders[id]
            return None
        return held
