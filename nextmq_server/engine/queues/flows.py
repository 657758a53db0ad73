"""Flows: trees of jobs. A job runs when its children are done."""

from __future__ import annotations

import asyncio
import typing as t
import uuid
from dataclasses import dataclass, replace

from nextmq_handler.rules.flows import FlowNode

from .adding import AddResult, JobToAdd
from .children import ChildKey, Children
from .jobs import Jobs, NoSuchJob

MAX_SHOWN = 1000
"""How many jobs of a flow are shown at most."""


@dataclass
class FlowPlan:
    """The jobs of some flows, each after its parent, and the index of each job's parent: None for roots."""

    jobs: list[JobToAdd]
    parents: list[int | None]


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

    async def show(self, plan: FlowPlan, added: t.Sequence[AddResult]) -> list[dict[str, t.Any]]:
        """Return the trees of a plan that was added, as the API shows them."""
        # A child that had completed before may have let its parent run.
        changed = {parent for parent, one in zip(plan.parents, added, strict=True) if one.deduplicated}
        looks: list[t.Awaitable[dict[str, t.Any]]] = []
        for index, (job, parent) in enumerate(zip(plan.jobs, plan.parents, strict=True)):
            must_look = added[index].replayed or index in changed
            opts = job.opts
            if parent is not None and added[parent].id != opts["parent"]["id"]:  # it is replayed
                opts = {**opts, "parent": {**opts["parent"], "id": added[parent].id}}
            shown = job if opts is job.opts else replace(job, opts=opts)
            looks.append(self._jobs.added(shown, added[index]._replace(replayed=must_look)))
        views = await asyncio.gather(*looks)
        trees = [_tree(view, job.queue) for view, job in zip(views, plan.jobs, strict=True)]
        for tree, parent in zip(trees, plan.parents, strict=True):
            if parent is not None:
                trees[parent]["children"].append(tree)
        return [tree for tree, parent in zip(trees, plan.parents, strict=True) if parent is None]

    async def get(self, queue: str, job_id: str, *, depth: int, max_children: int) -> dict[str, t.Any]:
        """Return the tree below a job, at most 1,000 jobs. It leaves out removed jobs.

        `depth` is the number of levels, including the job's own; `max_children` limits the children of each kind
        that are shown for a job. Raises NoSuchJob.
        """
        root = await self._look(ChildKey(queue, job_id))
        if root is None:
            raise NoSuchJob(job_id)
        level, left = [root], MAX_SHOWN - 1
        for _ in range(depth - 1):
            below = await asyncio.gather(*(self._below(tree, max_children) for tree in level))
            wanted = [(tree, child) for tree, children in zip(level, below, strict=True) for child in children]
            wanted = wanted[:left]
            left -= len(wanted)
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
        # A child that finishes between the reads is in two of them.
        return list(dict.fromkeys([*found.processed, *found.unprocessed, *found.failed, *found.ignored]))


def _tree(view: dict[str, t.Any], queue: str) -> dict[str, t.Any]:
    return {"job": {**view, "queueName": queue}, "children": []}
