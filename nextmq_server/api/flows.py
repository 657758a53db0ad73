"""/v1/flows: trees of jobs, each of which runs once its children are done."""

from __future__ import annotations

import typing as t

from fastapi import Query, Response

from nextmq_handler.rules.flows import FlowNode, NewFlowBody, NewFlowsBody, check_jobs, jobs_by_path
from nextmq_handler.rules.limits import MAX_BULK, MAX_FLOW_DEPTH, MAX_PAGE
from nextmq_handler.rules.models import Closed
from nextmq_handler.rules.refusals import check_size
from nextmq_handler.rules.search.redaction import Redaction

from ..engine.queues.adding import Idempotency
from ..engine.queues.children import ChildKey
from ..engine.queues.flows import Branch, FlowOutline
from ..engine.queues.jobs import NoSuchJob
from ..service import Service
from ..timers import now_ms
from .http.bodies import in_turns
from .http.paging import MAX_ANSWER, SENT_AT, answer_pieces, item, member
from .http.request import Authorized, CreatesJobs, Hides, IdempotencyKey, PathId, QueueName, Trace, router
from .jobs import AddedJob, add_all

_LOOK_AT = 50  # jobs at a time

routes = router("/v1/flows", "flows", is_bulk=True)


class FlowJobView(AddedJob):
    """A job of a flow, with the name of its queue."""

    queueName: str


class Tree(Closed):
    """A job and its children."""

    job: FlowJobView
    children: list[Tree]


class JobPlace(Closed):
    """Where a job is."""

    queueName: str
    id: str


class FlowTree(Tree):
    """A job and those below it. `next` has the jobs that the answer had no room for, each with those below it."""

    next: list[JobPlace] | None = None


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
    return await _add(service, body.roots(trace), idempotency, b'{"flow":%b}')


@routes.post("/bulk", status_code=201, response_model=AddedFlows, dependencies=[CreatesJobs])
async def add_flows(
    body: NewFlowsBody, service: Authorized, trace: Trace, idempotency: IdempotencyKey = None
) -> Response:
    """Add flows: all of their jobs or none."""
    return await _add(service, body.roots(trace), idempotency, b'{"flows":[%b]}')


@routes.get("/{queue}/{id}", response_model=FlowTree)
async def get_flow(
    queue: QueueName,
    job_id: PathId,
    service: Authorized,
    redaction: Hides,
    depth: t.Annotated[int, Query(ge=1, le=MAX_FLOW_DEPTH, description="how many levels")] = 10,
    maxChildren: t.Annotated[int, Query(ge=1, le=MAX_PAGE, description="of each kind that a job has")] = 20,
) -> Response:
    """Get a job and the jobs below it, at most 1,000 and 16 MiB. Removed jobs are left out."""
    outline = await service.flows.outline(queue, job_id, depth=depth, max_children=maxChildren)
    return await answer_pieces(_tree_text(service, outline, redaction))


async def _add(
    service: Service, roots: t.Mapping[str, FlowNode], idempotency: Idempotency | None, form: bytes
) -> Response:
    check_jobs(roots)
    async for path, node in in_turns(jobs_by_path(roots)):
        check_size(node.data, node.opts, f"{path}.data")
    plan = service.flows.plan(list(roots.values()), now=now_ms())
    async for job in in_turns(plan.jobs):
        _ = job.call  # packed now, each in its turn
    added = await add_all(service, plan.jobs, idempotency)
    return await answer_pieces(_added_text(service.flows.show(plan, added), form), 201)


async def _added_text(jobs: t.AsyncIterator[tuple[int, dict[str, t.Any]]], form: bytes) -> t.AsyncGenerator[bytes]:
    text, _, ending = form.partition(b"%b")
    writer = TreeWriter()
    async for level, view in jobs:
        text += writer.job(level, item(view))
        if len(text) >= SENT_AT:
            yield text
            text = b""
    yield text + writer.end() + ending


class TreeWriter:
    """Writes jobs, each before those below it, as nested JSON."""

    def __init__(self) -> None:
        self._open: list[int] = []

    def job(self, level: int, shown: bytes) -> bytes:
        """Return what to write for the next job; `shown` is its JSON."""
        closed = sum(above >= level for above in self._open)
        del self._open[len(self._open) - closed :]
        self._open.append(level)
        return b"]}" * closed + b"," * bool(closed) + b'{"job":' + shown + b',"children":['

    def end(self, members: bytes = b"") -> bytes:
        """Return what to write after the last job; the first one gets the `members` too."""
        return b"]}" * (len(self._open) - 1) + b"]" + members + b"}"


async def _tree_text(
    service: Service, outline: FlowOutline, redaction: Redaction | None
) -> t.AsyncGenerator[bytes]:
    """Yield the tree as JSON, while there is room for its jobs. Raises NoSuchJob if it has none."""
    text, size, left_out = b"", 0, [*outline.cut]
    writer, removed_at = TreeWriter(), MAX_FLOW_DEPTH
    async for index, view in _views(service, outline.branches):
        branch = outline.branches[index]
        if branch.level > removed_at:
            continue
        removed_at = branch.level if view is None else MAX_FLOW_DEPTH
        if view is None:
            continue
        shown = item(view if redaction is None else redaction.parts(view))
        if size and size + len(shown) > MAX_ANSWER:
            left_out = [*_highest(outline.branches[index:]), *left_out]
            break
        text += writer.job(branch.level, shown)
        size += len(shown)
        if len(text) >= SENT_AT:
            yield text
            text = b""
    if not size:
        raise NoSuchJob(outline.branches[0].job.id)
    places = [{"queueName": job.queue, "id": job.id} for job in left_out[:MAX_BULK]]
    yield text + writer.end(b"," + member("next", places) if places else b"")


def _highest(branches: t.Sequence[Branch]) -> t.Iterator[ChildKey]:
    """Yield the jobs that are below none of the others."""
    level = MAX_FLOW_DEPTH
    for branch in branches:
        if branch.level <= level:
            level = branch.level
            yield branch.job


async def _views(
    service: Service, branches: t.Sequence[Branch]
) -> t.AsyncIterator[tuple[int, dict[str, t.Any] | None]]:
    """Yield the index of each job, and the job; None if it does not exist (any more)."""
    first = 0
    while first < len(branches):
        async with service.shares.reads:
            views = await service.flows.first_of(branches[first : first + _LOOK_AT])
        for index, view in enumerate(views, first):
            yield index, view
        first += len(views)
