"""/v1/flows: trees of jobs, each of which runs once its children are done."""

from __future__ import annotations

import itertools
import typing as t
import uuid

from ....rules.flows import FlowNode, NewFlowBody, NewFlowsBody, check_jobs
from ....rules.refusals import no_such_job
from ..engine.job import Key, NewSimulatedJob, SimulatedJob
from .jobs import add, added_view
from .routing import Router, SimulatedRequest
from .views import job_view

router: Router = Router()

Tree = dict[str, t.Any]


class _Plan(t.NamedTuple):
    """The jobs of some flows, each after its parent, and the index of each one's parent: None for roots."""

    jobs: list[NewSimulatedJob]
    parents: list[int | None]


@router.route("POST", "flows", status=201, body=NewFlowBody)
def add_flow(request: SimulatedRequest) -> dict[str, t.Any]:
    return {"flow": _add(request)[0]}


@router.route("POST", "flows/bulk", status=201, body=NewFlowsBody)
def add_flows(request: SimulatedRequest) -> dict[str, t.Any]:
    return {"flows": _add(request)}


@router.route("GET", "flows/*/*")
def get_flow(request: SimulatedRequest) -> dict[str, t.Any]:
    queue, job_id = request.names
    job = request.simulation.store.find(Key(queue, job_id))
    if job is None:
        raise no_such_job(queue, job_id)
    return _tree(request, job, request.number("depth", 10), request.number("maxChildren", 20))


def _add(request: SimulatedRequest) -> list[Tree]:
    body: NewFlowBody | NewFlowsBody = request.body
    roots = body.roots(request.trace)
    check_jobs(roots)
    plan = _Plan([], [])
    for root in roots.values():
        _plan(request, plan, root, None)
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


def _plan(request: SimulatedRequest, plan: _Plan, node: FlowNode, parent: int | None) -> None:
    opts: dict[str, t.Any] = dict(node.opts)
    if parent is not None:
        above = plan.jobs[parent]
        opts["parent"] = {"id": above.job_id, "queue": above.queue}
    timestamp = opts.get("timestamp") or request.now
    job_id = opts.get("jobId") or uuid.uuid4().hex
    index = len(plan.jobs)
    plan.jobs.append(
        NewSimulatedJob(node.queue, node.name, node.data, opts, timestamp, job_id, bool(node.children))
    )
    plan.parents.append(parent)
    for child in node.children:
        _plan(request, plan, child, index)


def _tree(request: SimulatedRequest, job: SimulatedJob, depth: int, limit: int) -> Tree:
    view = {**job_view(job), "deduplicated": False, "queueName": job.key.queue}
    if depth <= 1:
        return {"job": view, "children": []}
    kinds = (job.processed_children, job.open_children, job.failed_children, job.ignored_children)
    keys = dict.fromkeys(key for kind in kinds for key in itertools.islice(kind, limit))
    found = [child for key in keys if (child := request.simulation.store.find(key))]
    return {"job": view, "children": [_tree(request, child, depth - 1, limit) for child in found]}
