"""Flows: trees of jobs, each of which runs once its children are done."""

from __future__ import annotations

import asyncio
import typing as t
import uuid
from dataclasses import dataclass, replace

from .adding import AddResult, JobToAdd
from .children import ChildKey, Children
from .jobs import Jobs, NoSuchJob

MAX_SHOWN = 1000
"""The most jobs that a look at a flow shows."""


@dataclass(frozen=True)
class FlowNode:
    """A job to add with its children. `opts` has BullMQ's long names; a parent in it is an existing job."""

    name: str
    queue: str
    data: t.Any
    opts: dict[str, t.Any]
    children: t.Sequence[FlowNode] = ()


@dataclass
class FlowPlan:
    """The jobs of some flows, each after its parent, and the index of each one's parent: None for roots."""

    jobs: list[JobToAdd]
    parents: list[int | None]


class Flows:
    """The flows under one BullMQ prefix. `new_id` makes the ids of jobs that are given none."""

    def __init__(
        self, jobs: Jobs, children: Children, *, new_id: t.Callable[[], str] = lambda: uuid.uuid4().hex
    ) -> None:
        self._jobs = jobs
        self._children = children
        self._new_id = new_id

    def plan(self, roots: t.Sequence[FlowNode], *, now: int) -> FlowPlan:
        """The jobs to add for these trees, all in one step. `now` is ms since the epoch."""
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

    async def show(self, plan: FlowPlan, added: t.Sequence[AddResult]) -> list[dict[str, t.Any]]:
        """The trees of a plan that was added."""
        # A child that was done before it was added may have let its parent run.
        changed = {parent for parent, one in zip(plan.parents, added, strict=True) if one.deduplicated}
        looks: list[t.Awaitable[dict[str, t.Any]]] = []
        for index, (job, parent) in enumerate(zip(plan.jobs, plan.parents, strict=True)):
            opts = job.opts
            if parent is not None:  # a replayed one has another id than was planned
                opts = {**opts, "parent": {**opts["parent"], "id": added[parent].id}}
            must_look = added[index].replayed or index in changed
            looks.append(self._jobs.added(replace(job, opts=opts), added[index]._replace(replayed=must_look)))
        views = await asyncio.gather(*looks)
        trees = [_tree(view, job.queue) for view, job in zip(views, plan.jobs, strict=True)]
        for tree, parent in zip(trees, plan.parents, strict=True):
            if parent is not None:
                trees[parent]["children"].append(tree)
        return [tree for tree, parent in zip(trees, plan.parents, strict=True) if parent is None]

    async def get(self, queue: str, job_id: str, *, depth: int, max_children: int) -> dict[str, t.Any]:
        """The tree below a job as it is now, at most 1,000 jobs; those that were removed are left out.

        `depth` counts the levels, the job's own among them; `max_children` bounds the children of each kind that
        a job has. Raises NoSuchJob.
        """
        root = await self._look(ChildKey(queue, job_id))
        if root is None:
            raise NoSuchJob(job_id)
        level, room = [root], MAX_SHOWN - 1
        for _ in range(depth - 1):
            below = await asyncio.gather(*(self._below(tree, max_children) for tree in level))
            wanted = [(tree, child) for tree, children in zip(level, below, strict=True) for child in children]
            wanted = wanted[:room]
            room -= len(wanted)
            found = await asyncio.gather(*(self._look(child) for _, child in wanted))
            level = list[dict[str, t.Any]]()
            for (above, _), tree in zip(wanted, found, strict=True):
                if tree is not None:
                    above["children"].append(tree)
                    level.append(tree)
        return root

    async def _look(self, child: ChildKey) -> dict[str, t.Any] | None:
        try:
            view = await self._jobs.get(child.queue, child.id)
        except NoSuchJob:
            return None
        return _tree({**view, "deduplicated": False}, child.queue)

    async def _below(self, tree: dict[str, t.Any], limit: int) -> list[ChildKey]:
        try:
            found = await self._children.dependencies(tree["job"]["queueName"], tree["job"]["id"], limit)
        except NoSuchJob:  # removed just now
            return []
        # One that finishes between the looks is in two of them.
        return list(dict.fromkeys([*found.processed, *found.unprocessed, *found.failed, *found.ignored]))


def _tree(view: dict[str, t.Any], queue: str) -> dict[str, t.Any]:
    return {"job": {**view, "queueName": queue}, "children": []}
