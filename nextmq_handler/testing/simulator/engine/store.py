"""The queues, and what concerns more than one of them: adding, parents and children, removal."""

from __future__ import annotations

import typing as t

from ....rules.results import JobResult
from .deduplication import Deduplicator
from .job import Key, NewSimulatedJob, SimulatedJob
from .queue_state import QueueState

if t.TYPE_CHECKING:
    from ....workers.worker import Worker
    from .clock import VirtualClock

PREFIX = "bull"
"""BullMQ's default key prefix. It is part of the reason with which a parent fails."""


class Store:
    """The queues. A queue exists from its first use on."""

    def __init__(self, workers: t.Iterable[Worker], clock: VirtualClock) -> None:
        self.clock = clock
        self._workers = {worker.name: worker for worker in workers}
        self.queues: dict[str, QueueState] = {}
        self.deduplicators: dict[str, Deduplicator] = {}
        self.added: list[SimulatedJob] = []
        """Every job that was ever added, in this order."""
        self.results: dict[Key, tuple[int, JobResult]] = {}
        """The results of jobs that were not kept, and until when (ms since the epoch) they are known."""
        for name in self._workers:
            self.queue(name)

    @property
    def now(self) -> int:
        """The time, in ms since the epoch."""
        return self.clock.ms

    def queue(self, name: str) -> QueueState:
        """Return the queue of this name."""
        found = self.queues.get(name)
        if found is None:
            found = self.queues[name] = QueueState(name, self._workers.get(name))
            self.deduplicators[name] = Deduplicator(found)
        return found

    def find(self, key: Key | None) -> SimulatedJob | None:
        """Return the job, None if it does not exist."""
        queue = self.queues.get(key.queue) if key else None
        return queue.jobs.get(key.id) if queue and key else None

    def result(self, key: Key) -> JobResult | None:
        """Return the state and the result of a job, None if it is not known (any more)."""
        job = self.find(key)
        if job is not None:
            return job.result
        until, result = self.results.get(key, (0, None))
        return result if until > self.now else None

    def put(self, new: NewSimulatedJob, job_id: str, *, scheduler_id: str | None = None) -> None:
        """Store a new job in its first state."""
        queue, opts = self.queue(new.queue), new.opts
        job = SimulatedJob(
            key=Key(new.queue, job_id),
            name=new.name,
            data=new.data,
            opts=_stored(opts) if scheduler_id is None else opts,
            timestamp=new.timestamp,
            delay=opts.get("delay") or 0,
            priority=opts.get("priority") or 0,
            parent_key=new.parent,
            repeat_job_key=scheduler_id,
        )
        self.added.append(job)
        self.results.pop(job.key, None)  # of an earlier job with this id
        if new.is_parent:
            queue.enter(job, "waiting-children")
        elif job.delay:
            queue.postpone(job, new.timestamp + job.delay)
        else:
            queue.push_in_turn(job, is_next=bool(opts.get("lifo")))
        queue.jobs[job_id] = job
        parent = self.find(job.parent_key)
        if parent is not None:
            parent.open_children[job.key] = None

    def take_letters(self, job: SimulatedJob) -> None:
        """Remove the dead letters of a job that runs again. One that a worker processes stays."""
        letters = {key: self.find(key) for key in job.letters}
        busy = [key for key, one in letters.items() if one and one.state in ("active", "waiting-children")]
        for key, letter in letters.items():
            if letter is not None and key not in busy:
                self.remove(letter)
        job.letters = busy

    def child_completed(self, child: SimulatedJob) -> None:
        """Give the result to the parent, which continues if no other child is open."""
        parent = self._close(child)
        if parent is not None:
            self.take_result(parent, child)

    def take_result(self, parent: SimulatedJob, child: SimulatedJob) -> None:
        """Store the return value of a child. The parent continues if no child is open."""
        parent.processed_children[child.key] = child.return_value
        if not parent.open_children:
            self._resume(parent)

    def child_failed(self, child: SimulatedJob, reason: str) -> None:
        """Apply the failure policy of the child to its parent. BullMQ: moveChildFromDependenciesIfNeeded."""
        policy = child.policy
        parent = self._close(child) if policy else None
        if parent is None:
            return
        if policy == "failParentOnFailure":
            parent.failed_children[child.key] = None
            self._fail_with(parent, child)
            return
        if policy != "removeDependencyOnFailure":
            parent.ignored_children[child.key] = reason
        if policy == "continueParentOnFailure" or not parent.open_children:
            self._resume(parent)

    def reopen(self, child: SimulatedJob, was: t.Literal["completed", "failed"]) -> None:
        """Count a finished child that runs again as open. BullMQ: moveChildBackToParentDependencies."""
        parent = self.find(child.parent_key)
        if parent is None:
            return
        failed = (parent.failed_children, parent.ignored_children)
        for children in (parent.processed_children,) if was == "completed" else failed:
            if child.key in children:
                del children[child.key]
                parent.open_children[child.key] = None

    def part(self, child: SimulatedJob) -> bool:
        """Stop the parent waiting for a child; return whether it did. BullMQ: removeParentDependencyKey."""
        parent = self._close(child)
        if parent is None:
            return False
        if not parent.open_children and parent.state == "waiting-children":
            self.queue(parent.key.queue).enter(parent, "waiting", is_next=True)
        return True

    def remove(self, job: SimulatedJob) -> None:
        """Remove a job. Its parent continues without it."""
        self.part(job)
        self.queue(job.key.queue).remove(job)

    def release(self, job: SimulatedJob) -> bool:
        """Release the deduplication id of a job; return whether the job held it."""
        return self.deduplicators[job.key.queue].removed(job, self.now)

    def clear(self, job: SimulatedJob) -> None:
        """Remove a job, release its deduplication id, and remove a parent in its queue that waited only for it.

        BullMQ: removeJob, hard.
        """
        self.release(job)
        self._clear(job)

    def remove_unprocessed(self, job: SimulatedJob) -> None:
        """Remove the children that wait, and their children. BullMQ: removeUnprocessedChildren."""
        for key in [*job.open_children]:
            child = self.find(key)
            if child is not None and child.state not in ("active", "failed"):
                self.part(child)
                self.remove_unprocessed(child)
                self.release(child)
                self.remove(child)

    def family(self, job: SimulatedJob) -> list[SimulatedJob]:
        """Return the job and all jobs below it."""
        found, left = list[SimulatedJob](), [job]
        while left:
            one = left.pop()
            found.append(one)
            keys = dict.fromkeys(key for kind in one.children.values() for key in kind)
            left += [child for key in keys if (child := self.find(key)) and child.parent_key == one.key]
        return found

    def _close(self, child: SimulatedJob) -> SimulatedJob | None:
        """Stop counting a child as open; return its parent, None if that does not wait for it."""
        parent = self.find(child.parent_key)
        if parent is None or child.key not in parent.open_children:
            return None
        del parent.open_children[child.key]
        return parent

    def _clear(self, job: SimulatedJob) -> None:
        parent = self.find(job.parent_key)
        if (
            parent is not None
            and parent.key.queue == job.key.queue
            and parent.state == "waiting-children"
            and parent.open_children.keys() == {job.key}
        ):
            del parent.open_children[job.key]
            self._clear(parent)
        self.remove(job)

    def _fail_with(self, parent: SimulatedJob, child: SimulatedJob) -> None:
        if parent.state == "failed":
            return
        parent.deferred_failure = f"child {PREFIX}:{child.key} failed"
        if parent.state == "delayed":
            parent.delay = 0
        self._resume(parent, ("waiting-children", "delayed"))

    def _resume(self, parent: SimulatedJob, states: t.Container[str] = ("waiting-children",)) -> None:
        """Put a parent that is in one of the states at the head of its queue. BullMQ: moveParentToWait."""
        if parent.state not in states:
            return
        queue = self.queue(parent.key.queue)
        if parent.delay > 0:
            queue.postpone(parent, self.now + parent.delay, in_order=False)
        else:
            queue.push_in_turn(parent, is_next=True)


def _stored(opts: t.Mapping[str, t.Any]) -> dict[str, t.Any]:
    """Return options as BullMQ stores them, and as processors see them."""
    kept = {"attempts": 0, "delay": 0, **opts}
    backoff = kept.get("backoff")
    return {**kept, "backoff": {"type": "fixed", "delay": backoff}} if isinstance(backoff, int) else kept
