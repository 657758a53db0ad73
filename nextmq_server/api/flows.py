"""/v1/flows: trees of jobs, each of which runs once its children are done."""

from __future__ import annotations

import typing as t

from fastapi import APIRouter, Query, Response
from pydantic import Field, field_validator, model_validator

from nextmq_handler.rules.limits import MAX_DATA_SIZE
from nextmq_handler.rules.models import JobOptionsModel, Queue, check_data_size
from nextmq_handler.rules.states import FAILURE_POLICIES

from ..engine.queues.adding import Idempotency
from ..engine.queues.flows import FlowNode
from ..engine.queues.jobs import NoSuchJob
from ..service import Service
from ..timers import now_ms
from .errors import DOCUMENTED, ASCIIResponse, invalid_member, no_such_job
from .jobs import add_all
from .models import AddedJob, NewJob
from .request import (
    Authorized,
    BulkRoute,
    Closed,
    CreatesJobs,
    IdempotencyKey,
    PathId,
    QueueName,
    StrictRoute,
    Trace,
)

MAX_NODES = 1000
MAX_DEPTH = 20
MAX_CHILDREN = 1000

_PREFIX = "/v1/flows"

router = APIRouter(prefix=_PREFIX, tags=["flows"], route_class=StrictRoute, responses=DOCUMENTED)
adding = APIRouter(prefix=_PREFIX, tags=["flows"], route_class=BulkRoute, responses=DOCUMENTED)


class Node(NewJob):
    """A job to add with its children, which run before it."""

    queueName: Queue
    children: list[Node] = Field(default=[])


class QueueOptions(Closed):
    """What holds for the jobs of one queue that do not say otherwise."""

    defaultJobOptions: JobOptionsModel = JobOptionsModel()

    @field_validator("defaultJobOptions")
    @classmethod
    def check_defaults(cls, value: JobOptionsModel) -> JobOptionsModel:
        """An id and a parent belong to one job."""
        if value.jobId is not None or value.parent is not None:
            raise ValueError("jobId and parent belong to one job: give them in its own opts")
        return value


class NewFlow(Closed):
    """A flow to add: at most 1,000 jobs, 20 levels deep."""

    flow: Node
    queuesOptions: dict[Queue, QueueOptions] = Field(default={}, max_length=MAX_NODES)

    @model_validator(mode="before")
    @classmethod
    def check_size(cls, value: t.Any) -> t.Any:
        """What is too large is not looked at."""
        _check_size([_member(value, "flow")])
        return value


class NewFlows(Closed):
    """Flows to add: at most 1,000 jobs in all, 20 levels deep."""

    flows: list[Node] = Field(min_length=1, max_length=MAX_NODES)

    @model_validator(mode="before")
    @classmethod
    def check_size(cls, value: t.Any) -> t.Any:
        """What is too large is not looked at."""
        _check_size(_list(value, "flows"))
        return value


class FlowJob(AddedJob):
    """A job of a flow, in whichever queue."""

    queueName: str


class Tree(Closed):
    """A job and its children."""

    job: FlowJob
    children: list[Tree]


class AddedFlow(Closed):
    """The flow that was added."""

    flow: Tree


class AddedFlows(Closed):
    """The flows that were added, in the order of the request."""

    flows: list[Tree]


@adding.post("", status_code=201, response_model=AddedFlow, dependencies=[CreatesJobs])
async def add_flow(
    body: NewFlow, service: Authorized, trace: Trace, idempotency: IdempotencyKey = None
) -> Response:
    """Add a flow: all of its jobs or none."""
    roots = {"flow": _with_defaults(body.flow, body.queuesOptions, trace)}
    return ASCIIResponse({"flow": (await _add(service, roots, idempotency))[0]}, 201)


@adding.post("/bulk", status_code=201, response_model=AddedFlows, dependencies=[CreatesJobs])
async def add_flows(
    body: NewFlows, service: Authorized, trace: Trace, idempotency: IdempotencyKey = None
) -> Response:
    """Add flows: all of their jobs or none."""
    roots = {f"flows.{index}": _with_defaults(root, {}, trace) for index, root in enumerate(body.flows)}
    return ASCIIResponse({"flows": await _add(service, roots, idempotency)}, 201)


@router.get("/{queue}/{id}", response_model=Tree)
async def get_flow(
    queue: QueueName,
    job_id: PathId,
    service: Authorized,
    depth: t.Annotated[int, Query(ge=1, le=MAX_DEPTH, description="how many levels")] = 10,
    maxChildren: t.Annotated[int, Query(ge=1, le=MAX_CHILDREN, description="of each kind that a job has")] = 20,
) -> Response:
    """A job and what is below it, at most 1,000 jobs; removed ones are left out."""
    try:
        return ASCIIResponse(await service.flows.get(queue, job_id, depth=depth, max_children=maxChildren))
    except NoSuchJob:
        raise no_such_job(queue, job_id) from None


async def _add(
    service: Service, roots: t.Mapping[str, FlowNode], idempotency: Idempotency | None
) -> list[dict[str, t.Any]]:
    _check_jobs(roots)
    plan = service.flows.plan(list(roots.values()), now=now_ms())
    return await service.flows.show(plan, await add_all(service, plan.jobs, idempotency))


def _with_defaults(node: Node, queues: t.Mapping[str, QueueOptions], trace: dict[str, t.Any]) -> FlowNode:
    own = node.opts.given()
    defaults = queues[node.queueName].defaultJobOptions.given() if node.queueName in queues else {}
    if any(own.get(policy) for policy in FAILURE_POLICIES):  # they exclude each other
        defaults = {option: value for option, value in defaults.items() if option not in FAILURE_POLICIES}
    children = [_with_defaults(child, queues, trace) for child in node.children]
    return FlowNode(node.name, node.queueName, node.data, {**trace, **defaults, **own}, children)


def _check_jobs(roots: t.Mapping[str, FlowNode]) -> None:
    """Refuse jobs that cannot be in one request; `roots` has them by their paths in it."""
    parents = [root.opts["parent"] for root in roots.values() if "parent" in root.opts]
    taken: set[tuple[str, str | None]] = {(parent["queue"], parent["id"]) for parent in parents}
    left = list(roots.items())
    while left:
        path, node = left.pop()
        left += [(f"{path}.children.{index}", child) for index, child in enumerate(node.children)]
        is_root = path in roots
        if "parent" in node.opts and not is_root:
            raise invalid_member(f"{path}.opts.parent", "the parent is the job whose child it is")
        if "deduplication" in node.opts and (node.children or not is_root):
            raise invalid_member(f"{path}.opts.deduplication", "a parent could wait for ever: use jobId")
        key = (node.queue, node.opts.get("jobId"))
        if key in taken:
            raise invalid_member(f"{path}.opts.jobId", "the request has a job with this id and queue already")
        if key[1] is not None:
            taken.add(key)
        try:
            check_data_size(node.data, node.opts.get("sizeLimit", MAX_DATA_SIZE))
        except ValueError as exc:
            raise invalid_member(f"{path}.data", str(exc)) from None


def _check_size(level: t.Sequence[t.Any]) -> None:
    """Raises ValueError for more nodes than may be, whatever else they are."""
    nodes = depth = 0
    while level:
        nodes, depth = nodes + len(level), depth + 1
        if nodes > MAX_NODES or depth > MAX_DEPTH:
            raise ValueError(f"a request has at most {MAX_NODES} jobs in flows of at most {MAX_DEPTH} levels")
        level = [child for node in level for child in _list(node, "children")]


def _list(value: t.Any, member: str) -> list[t.Any]:
    found = _member(value, member)
    return [*t.cast("t.Iterable[t.Any]", found)] if isinstance(found, list) else []


def _member(value: t.Any, member: str) -> t.Any:
    return t.cast("dict[str, t.Any]", value).get(member) if isinstance(value, dict) else None
