"""Flows: trees of jobs. A job runs when its children are done."""

from __future__ import annotations

import asyncio
import typing as t
import uuid
from dataclasses import dataclass, field, replace

from nextmq_handler.rules.flows import FlowNode
from nextmq_handler.rules.refusals import json_size

from .adding import AddResult, JobToAdd
from .children import ChildKey, Children
from .job import parent_of
from .jobs import Jobs, decoded

MAX_READ = 4 * 1024 * 1024
"""About how many bytes of jobs that existed are shown when flows or a bulk are added."""

MAX_ANCESTORS = 64
"""How many levels are walked up from a job to its root: a running job may get children at any depth."""

MAX_SHOWN = 1000
"""How many jobs of a flow are shown at most."""


@dataclass
class FlowPlan:
    """The jobs of some flows, each after its parent, and the index of each job's parent: None for roots."""

    jobs: list[JobToAdd]
    parents: list[int | None]


@dataclass
class Branch:
    """A job of a flow and those below it. `level` is 0 for the job that was asked for."""

    job: ChildKey
    level: int
    children: list[Branch] = field(default_factory=list["Branch"])


class FlowOutline(t.NamedTuple):
    """The jobs of a flow, each before its children, and jobs that are too many to show."""

    branches: list[Branch]
    cut: list[ChildKey]


class Flows:
    """The flows under one BullMQ prefix. `new_id` returns an id for a job without one."""

    def __init__(
        self, jobs: Jobs, children: Children, *, new_id: t.Callable[[], str] = lambda: uuid.uuid4().hex
    ) -> None:
        self._jobs = jobs
        self._children = children
        self._new_id = new_id

    def plan(self, roots: t.Sequence[FlowNode], *, now: int) -> FlowPlan:
        """Return the jobs to add in one step for these trees. `now` is ms since the epoch."""
        plan = FlowPlan([], [])
        left: list[tuple[FlowNode, int | None]] = [(root, None) for root in reversed(roots)]
        while left:
            node, parent = left.pop()
            opts = node.opts
            if parent is not None:
                above = plan.jobs[parent]
                opts = {**opts, "parent": {"id": above.job_id, "queue": above.queue}}
            job = self._jobs.new(node.queue, node.name, node.data, opts, now=now, is_parent=bool(node.children))
            left += [(child, len(plan.jobs)) for child in reversed(node.children)]
            plan.jobs.append(replace(job, job_id=job.job_id or self._new_id()))
            plan.parents.append(parent)
        return plan

    async def show(
        self, plan: FlowPlan, added: t.Sequence[AddResult]
    ) -> t.AsyncIterator[tuple[int, dict[str, t.Any]]]:
        """Yield the level and the view of each job of a plan that was added, as the API shows it.

        Jobs that existed are read, up to MAX_READ in all; the others are shown as the request has them.
        """
        # A child that had completed before may have let its parent run.
        changed = {parent for parent, one in zip(plan.parents, added, strict=True) if one.deduplicated}
        levels, left = list[int](), MAX_READ
        for index, (job, parent) in enumerate(zip(plan.jobs, plan.parents, strict=True)):
            levels.append(0 if parent is None else levels[parent] + 1)
            must_look = added[index].replayed or index in changed
            opts = job.opts
            if parent is not None and added[parent].id != opts["parent"]["id"]:  # it is replayed
                opts = {**opts, "parent": {**opts["parent"], "id": added[parent].id}}
            shown = job if opts is job.opts else replace(job, opts=opts)
            one = added[index]._replace(replayed=must_look)
            view = await self._jobs.added(shown, one, has_room=left > 0)
            if must_look or one.deduplicated:
                left -= json_size(view)
            yield levels[index], {**view, "queueName": job.queue}

    async def outline(self, queue: str, job_id: str, *, depth: int, max_children: int) -> FlowOutline:
        """Return which jobs are in the tree below a job, at most 1,000.

        `depth` is the number of levels, including the job's own; `max_children` limits the children of each kind
        that are shown for a job.
        """
        root = Branch(ChildKey(queue, job_id), 0)
        level, left, cut = [root], MAX_SHOWN - 1, list[ChildKey]()
        for number in range(1, depth):
            below = await asyncio.gather(*(self._children.names(branch.job, max_children) for branch in level))
            wanted = [(branch, child) for branch, names in zip(level, below, strict=True) for child in names]
            cut += [child for _, child in wanted[left:]]
            wanted = wanted[:left]
            left -= len(wanted)
            level = [Branch(child, number) for _, child in wanted]
            for (above, _), branch in zip(wanted, level, strict=True):
                above.children.append(branch)
        return FlowOutline(list(_in_order(root)), cut[:MAX_SHOWN])

    async def root(self, queue: str, job_id: str) -> tuple[ChildKey, int]:
        """Return the highest job above a job that still exists, or the job itself, and how many levels that is up.

        Raises RedisError or ConnectionLost.
        """
        root, above = ChildKey(queue, job_id), await self._parent(ChildKey(queue, job_id))
        for level in range(MAX_ANCESTORS):
            if above is None or await self._jobs.scripts(above.queue).fields(above.id, "timestamp") == [None]:
                return root, level
            root, above = above, await self._parent(above)
        return root, MAX_ANCESTORS

    async def _parent(self, job: ChildKey) -> ChildKey | None:
        [stored] = await self._jobs.scripts(job.queue).fields(job.id, "parent")
        parent = parent_of(decoded(stored), "queueKey")
        return ChildKey(parent["queue"], parent["id"]) if parent else None

    async def first_of(self, branches: t.Sequence[Branch]) -> list[dict[str, t.Any] | None]:
        """Return the first of these jobs, at least one; None for one that does not exist (any more)."""
        views = await self._jobs.first_of([branch.job for branch in branches])
        return [
            view and {**view, "deduplicated": False, "queueName": branch.job.queue}
            for branch, view in zip(branches, views, strict=False)
        ]


def _in_order(branch: Branch) -> t.Iterator[Branch]:
    yield branch
    for child in branch.children:
        yield from _in_order(child)
