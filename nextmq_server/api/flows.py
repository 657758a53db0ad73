"""/v1/flows: trees of jobs, each of which runs once its children are done."""

from __future__ import annotations

import typing as t

from fastapi import Query, Response

from nextmq_handler.rules.flows import FlowNode, NewFlowBody, NewFlowsBody, check_jobs
from nextmq_handler.rules.limits import MAX_FLOW_DEPTH, MAX_PAGE
from nextmq_handler.rules.models import Closed

from ..engine.queues.adding import Idempotency
from ..service import Service
from ..timers import now_ms
from .errors import ASCIIResponse
from .jobs import AddedJob, add_all
from .request import Authorized, CreatesJobs, IdempotencyKey, PathId, QueueName, Trace, router

routes = router("/v1/flows", "flows", is_bulk=True)


class FlowJobView(AddedJob):
    """A job of a flow, with the name of its queue."""

    queueName: str


class Tree(Closed):
    """A job and its children."""

    job: FlowJobView
    children: list[Tree]


class AddedFlow(Closed):
    """The flow that was added."""

    flow: Tree


class AddedFlows(Closed):
    """The flows that were added, in the order of the request."""

    flows: list[Tree]


@routes.post("", status_code=201, response_model=AddedFlow, dependencies=[CreatesJobs])
async def add_flow(
    body: NewFlowBody, service: Authorized, trace: Trace, idempotency: IdempotencyKey = None
) -> Response:
    """Add a flow: all of its jobs or none."""
    [flow] = await _add(service, body.roots(trace), idempotency)
    return ASCIIResponse({"flow": flow}, 201)


@routes.post("/bulk", status_code=201, response_model=AddedFlows, dependencies=[CreatesJobs])
async def add_flows(
    body: NewFlowsBody, service: Authorized, trace: Trace, idempotency: IdempotencyKey = None
) -> Response:
    """Add flows: all of their jobs or none."""
    return ASCIIResponse({"flows": await _add(service, body.roots(trace), idempotency)}, 201)


@routes.get("/{queue}/{id}", response_model=Tree)
async def get_flow(
    queue: QueueName,
    job_id: PathId,
    service: Authorized,
    depth: t.Annotated[int, Query(ge=1, le=MAX_FLOW_DEPTH, description="how many levels")] = 10,
    maxChildren: t.Annotated[int, Query(ge=1, le=MAX_PAGE, description="of each kind that a job has")] = 20,
) -> Response:
    """Get a job and the jobs below it, at most 1,000. Removed jobs are left out."""
    return ASCIIResponse(await service.flows.get(queue, job_id, depth=depth, max_children=maxChildren))


async def _add(
    service: Service, roots: t.Mapping[str, FlowNode], idempotency: Idempotency | None
) -> list[dict[str, t.Any]]:
    check_jobs(roots)
    plan = service.flows.plan(list(roots.values()), now=now_ms())
    return await service.flows.show(plan, await add_all(service, plan.jobs, idempotency))
