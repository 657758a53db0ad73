"""/v1/flows: trees of jobs, each of which runs once its children are done."""

from __future__ import annotations

import itertools
import typing as t
import uuid

from ....rules.limits import MAX_FLOW_DEPTH, MAX_PAGE
from ....rules.refusals import check_size, no_such_job
from ..engine.adding import SimulatedAdd, add_all
from ..engine.job import Key, NewSimulatedJob, SimulatedJob
from .jobs import added_view
from .routing import ROUTER, SimulatedRequest
from .views import job_view

if t.TYPE_CHECKING:
    from ....rules import flows
    from ..engine.store import Store


Tree = dict[str, t.Any]


@ROUTER.route("POST", "flows", status=201)
def add_flow(request: SimulatedRequest, body: flows.NewFlowBody) -> dict[str, t.Any]:
    return {"flow": _add(request, body)[0]}


@ROUTER.route("POST", "flows/bulk", status=201)
def add_flows(request: SimulatedRequest, body: flows.NewFlowsBody) -> dict[str, t.Any]:
    return {"flows": _add(request, body)}


@ROUTER.route("GET", "flows/*/*")
def get_flow(request: SimulatedRequest, store: Store) -> dict[str, t.Any]:
    queue, job_id = request.names
    depth = request.number("depth", 10, low=1, high=MAX_FLOW_DEPTH)
    limit = request.number("maxChildren", 20, low=1, high=MAX_PAGE)
    job = store.find(Key(queue, job_id))
    if job is None:
        raise no_such_job(queue, job_id)
    return _tree(store, job, depth, limit)


def _add(request: SimulatedRequest, body: flows.NewFlowBody | flows.NewFlowsBody) -> list[Tree]:
    from ....rules.flows import check_jobs, jobs_by_path  # it imports pydantic

    roots = body.roots(request.trace)
    check_jobs(roots)
    for path, node in jobs_by_path(roots):
        check_size(node.data, node.opts, f"{path}.data")
    jobs = [job for root in roots.values() for job in _planned(request, root, None)]
    added = iter([*zip(jobs, add_all(request.store, jobs), strict=True)])
    return [_added_tree(request.store, root, added) for root in roots.values()]


def _planned(
    request: SimulatedRequest, node: flows.FlowNode, parent: NewSimulatedJob | None
) -> t.Iterator[NewSimulatedJob]:
    """Yield the jobs of a flow, each after its parent."""
    opts: dict[str, t.Any] = dict(node.opts)
    if parent is not None:
        opts["parent"] = {"id": parent.job_id, "queue": parent.queue}
    timestamp = opts.get("timestamp") or request.now
    job_id = opts.get("jobId") or uuid.uuid4().hex
    job = NewSimulatedJob(node.queue, node.name, node.data, opts, timestamp, job_id, bool(node.children))
    yield job
    for child in node.children:
        yield from _planned(request, child, job)


def _added_tree(
    store: Store, node: flows.FlowNode, added: t.Iterator[tuple[NewSimulatedJob, SimulatedAdd]]
) -> Tree:
    """Return a flow as it was added. The next of `added` are its jobs."""
    new, one = next(added)
    view = {**added_view(store, new, one), "queueName": new.queue}
    return {"job": view, "children": [_added_tree(store, child, added) for child in node.children]}


def _tree(store: Store, job: SimulatedJob, depth: int, limit: int) -> Tree:
    view = {**job_view(job), "deduplicated": False, "queueName": job.key.queue}
    if depth <= 1:
        return {"job": view, "children": []}
    keys = dict.fromkeys(key for kind in job.children.values() for key in itertools.islice(kind, limit))
    found = [child for key in keys if (child := store.find(key))]
    return {"job": view, "children": [_tree(store, child, depth - 1, limit) for child in found]}
