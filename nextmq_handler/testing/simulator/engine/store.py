"""All queues, and what concerns more than one of them: parents and children, removal."""

from __future__ import annotations

import typing as t

from .deduplication import Deduplicator
from .job import Job, Key
from .queue_state import QueueState

if t.TYPE_CHECKING:
    from ....workers.worker import Worker
    from .clock import VirtualClock

PREFIX = "bull"
"""What BullMQ's keys begin with by default: the reason of a parent that fails names its child by it."""


class Store:
    """The queues in process, made as they are first named."""

    def __init__(self, workers: t.Iterable[Worker], clock: VirtualClock) -> None:
        self.clock = clock
        self._workers = {worker.name: worker for worker in workers}
        self.queues: dict[str, QueueState] = {}
        self.deduplicators: dict[str, Deduplicator] = {}
        self.added: list[Job] = []
        """Every job there ever was, in the order of adding."""
        for name in self._workers:
            self.queue(name)

    def queue(self, name: str) -> QueueState:
        """The queue of that name."""
        found = self.queues.get(name)
        if found is None:
            found = self.queues[name] = QueueState(name, self._workers.get(name))
            self.deduplicators[name] = Deduplicator(found)
        return found

    def find(self, key: Key | None) -> Job | None:
        """The job, None where there is none."""
        queue = self.queues.get(key.queue) if key else None
        return queue.jobs.get(key.id) if queue and key else None

    def let_wait_again(self, parent: Job) -> None:
        """A parent waits for its children no more: it comes next. BullMQ: moveParentToWait."""
        queue = self.queue(parent.key.queue)
        queue.detach(parent)
        if parent.delay > 0:
            queue.postpone(parent, self.clock.ms + parent.delay, in_order=False)
        else:
            queue.push_in_turn(parent, is_next=True)

    def child_completed(self, child: Job) -> None:
        """Give the result to the parent, which goes on where no other child is open."""
        parent = self.find(child.parent_key)
        if parent is not None and child.key in parent.open_children:
            del parent.open_children[child.key]
            self.take_result(parent, child)

    def take_result(self, parent: Job, child: Job) -> None:
        """Note what a child returned; the parent goes on where none is open."""
        parent.processed_children[child.key] = child.return_value
        self._go_on_if_none_is_open(parent)

    def child_failed(self, child: Job, reason: str) -> None:
        """Do with the parent what the child's policy says. BullMQ: moveChildFromDependenciesIfNeeded."""
        parent, policy = self.find(child.parent_key), child.policy
        if parent is None or policy is None or child.key not in parent.open_children:
            return
        del parent.open_children[child.key]
        if policy == "failParentOnFailure":
            parent.failed_children[child.key] = None
            self._fail_with(parent, child)
        elif policy == "continueParentOnFailure":
            parent.ignored_children[child.key] = reason
            if parent.state == "waiting-children":
                self.let_wait_again(parent)
        else:
            self._go_on_if_none_is_open(parent)
            if policy == "ignoreDependencyOnFailure":
                parent.ignored_children[child.key] = reason

    def reopen(self, child: Job, was: t.Literal["completed", "failed"]) -> None:
        """A finished child runs again: its parent counts it as open. BullMQ: moveChildBackToParentDependencies."""
        parent = self.find(child.parent_key)
        if parent is None:
            return
        if was == "completed":
            counted = parent.processed_children.pop(child.key, self) is not self
        else:
            # Not both: what is not among the failed may be among the ignored.
            counted = parent.failed_children.pop(child.key, self) is not self
            counted = counted or parent.ignored_children.pop(child.key, self) is not self
        if counted:
            parent.open_children[child.key] = None

    def part(self, child: Job) -> bool:
        """Let the parent wait for a child no more; whether it did. BullMQ: removeParentDependencyKey."""
        parent = self.find(child.parent_key)
        if parent is None or child.key not in parent.open_children:
            return False
        del parent.open_children[child.key]
        if not parent.open_children and parent.state == "waiting-children":
            queue = self.queue(parent.key.queue)
            queue.detach(parent)
            queue.push_plain(parent, is_next=True)
        return True

    def remove(self, job: Job) -> None:
        """Remove a job; its parent goes on without it."""
        self.part(job)
        self.queue(job.key.queue).remove(job)

    def clear(self, job: Job) -> None:
        """Remove a job, and a parent in its queue that waited for it alone; others may have its deduplication id.

        BullMQ: removeJob, hard.
        """
        self.deduplicators[job.key.queue].removed(job, self.clock.ms)
        self._clear(job)

    def remove_unprocessed(self, job: Job) -> None:
        """Remove the children that neither finished nor run, with theirs. BullMQ: removeUnprocessedChildren."""
        for key in [*job.open_children]:
            child = self.find(key)
            if child is not None and child.state not in ("active", "failed"):
                self.part(child)
                self.remove_unprocessed(child)
                self.deduplicators[key.queue].removed(child, self.clock.ms)
                self.remove(child)

    def family(self, job: Job) -> list[Job]:
        """The job and all that is below it."""
        found, left = list[Job](), [job]
        while left:
            one = left.pop()
            found.append(one)
            kinds = (one.open_children, one.processed_children, one.ignored_children, one.failed_children)
            keys = dict.fromkeys(key for kind in kinds for key in kind)
            left += [child for key in keys if (child := self.find(key)) and child.parent_key == one.key]
        return found

    def _clear(self, job: Job) -> None:
        parent = self.find(job.parent_key)
        if parent is not None and parent.key.queue == job.key.queue and self._waits_for_nothing_but(job, parent):
            del parent.open_children[job.key]
            self._clear(parent)
        self.remove(job)

    def _waits_for_nothing_but(self, child: Job, parent: Job) -> bool:
        return parent.state == "waiting-children" and parent.open_children.keys() == {child.key}

    def _go_on_if_none_is_open(self, parent: Job) -> None:
        if not parent.open_children and parent.state == "waiting-children":
            self.let_wait_again(parent)

    def _fail_with(self, parent: Job, child: Job) -> None:
        if parent.state == "failed":
            return
        parent.deferred_failure = f"child {PREFIX}:{child.key} failed"
        if parent.state == "delayed":
            parent.delay = 0
        if parent.state in ("waiting-children", "delayed"):
            self.let_wait_again(parent)
