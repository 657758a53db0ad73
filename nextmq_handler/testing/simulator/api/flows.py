"""/v1/flows: trees of jobs, each of which runs once its children are done."""

from __future__ import annotations

import dataclasses
import itertools
import typing as t
import uuid

from ....rules.states import FAILURE_POLICIES
from ..engine.job import Key, NewSimulatedJob, SimulatedJob
from .jobs import add, added_view, new_job
from .refusals import invalid, no_such_job
from .routing import Request, Router
from .views import job_view

router = Router()

Tree = dict[str, t.Any]


class _Plan(t.NamedTuple):
    """The jobs of some flows, each after its parent, and the index of each one's parent: None for roots."""

    jobs: list[NewSimulatedJob]
    parents: list[int | None]


@router.route("POST", "flows", status=201)
def add_flow(request: Request) -> dict[str, t.Any]:
    queues: dict[str, t.Any] = request.body.get("queuesOptions", {})
    return {"flow": _add(request, {"flow": request.body["flow"]}, queues)[0]}


@router.route("POST", "flows/bulk", status=201)
def add_flows(request: Request) -> dict[str, t.Any]:
    roots = {f"flows.{index}": root for index, root in enumerate(request.body["flows"])}
    return {"flows": _add(request, roots, {})}


@router.route("GET", "flows/*/*")
def get_flow(request: Request) -> dict[str, t.Any]:
    queue, job_id = request.names
    job = request.simulation.store.find(Key(queue, job_id))
    if job is None:
        raise no_such_job(queue, job_id)
    return _tree(request, job, request.number("depth", 10), request.number("maxChildren", 20))


def _add(request: Request, roots: dict[str, Tree], queues: dict[str, t.Any]) -> list[Tree]:
    plan = _Plan([], [])
    for path, root in roots.items():
        _plan(request, plan, root, None, path, queues)
    added = add(request, plan.jobs)
    views = [added_view(request, new, one) for new, one in zip(plan.jobs, added, strict=True)]
    trees: list[Tree] = [
        {"job": {**view, "queueName": new.queue}, "children": []}
        for view, new in zip(views, plan.jobs, strict=True)
    ]
    for tree, parent in zip(trees, plan.parents, strict=True):
        if parent is not None:
            trees[parent]["children"].append(tree)
    return [tree for tree, parent in zip(trees, plan.parents, strict=True) if parent is None]


def _plan(
    request: Request, plan: _Plan, node: Tree, parent: int | None, path: str, queues: dict[str, t.Any]
) -> None:
    opts = _options(node, queues)
    if parent is not None:
        if "parent" in opts:
            raise invalid(f"{path}.opts.parent", "the parent is the job whose child it is")
        above = plan.jobs[parent]
        opts["parent"] = {"id": above.job_id, "queue": above.queue}
    if "deduplication" in opts and (node["children"] or parent is not None):
        raise invalid(f"{path}.opts.deduplication", "a parent could wait for ever: use jobId")
    new = new_job(request, node["queueName"], {**node, "opts": opts}, f"{path}.")
    new = dataclasses.replace(new, job_id=new.job_id or uuid.uuid4().hex, is_parent=bool(node["children"]))
    if any(job.key == new.key for job in plan.jobs):
        raise invalid(f"{path}.opts.jobId", "the request has a job with this id and queue already")
    index = len(plan.jobs)
    plan.jobs.append(new)
    plan.parents.append(parent)
    for number, child in enumerate(node["children"]):
        _plan(request, plan, child, index, f"{path}.children.{number}", queues)


def _options(node: Tree, queues: dict[str, t.Any]) -> dict[str, t.Any]:
    own: dict[str, t.Any] = node.get("opts") or {}
    defaults: dict[str, t.Any] = queues.get(node["queueName"], {}).get("defaultJobOptions", {})
    if any(own.get(policy) for policy in FAILURE_POLICIES):  # they exclude each other
        defaults = {name: value for name, value in defaults.items() if name not in FAILURE_POLICIES}
    return {**defaults, **own}


def _tree(request: Request, job: SimulatedJob, depth: int, limit: int) -> Tree:
    view = {**job_view(job), "deduplicated": False, "queueName": job.key.queue}
    if depth <= 1:
        return {"job": view, "children": []}
    kinds = (job.processed_children, job.open_children, job.failed_children, job.ignored_children)
    keys = dict.fromkeys(key for kind in kinds for key in itertools.islice(kind, limit))
    found = [child for key in keys if (child := request.simulation.store.find(key))]
    return {"job": view, "children": [_tree(request, child, depth - 1, limit) for child in found]}
