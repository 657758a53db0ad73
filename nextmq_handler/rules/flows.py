"""Flows as requests describe them: trees of jobs, their limits, and the options that a queue's jobs share."""

from __future__ import annotations

import typing as t
from dataclasses import dataclass

from pydantic import Field, field_validator, model_validator

from .bodies import NewJobBody
from .limits import MAX_BULK, MAX_FLOW_DEPTH
from .models import Closed, JobOptionsModel, Queue
from .refusals import invalid
from .states import FAILURE_POLICIES


class FlowNodeBody(NewJobBody):
    """A job to add with its children, which run before it."""

    queueName: Queue
    children: list[FlowNodeBody] = Field(default=[])


class QueueOptionsModel(Closed):
    """The options that the jobs of one queue have by default."""

    defaultJobOptions: JobOptionsModel = JobOptionsModel()

    @field_validator("defaultJobOptions")
    @classmethod
    def check_defaults(cls, value: JobOptionsModel) -> JobOptionsModel:
        """Refuse an id and a parent: they belong to one job."""
        if value.jobId is not None or value.parent is not None:
            raise ValueError("jobId and parent belong to one job: give them in its own opts")
        return value


class _SizedBody(Closed):
    @model_validator(mode="before")
    @classmethod
    def check_size(cls, value: t.Any) -> t.Any:
        """Refuse flows that are too large before their jobs are checked."""
        _check_count(_list(value, "flows") or [_member(value, "flow")])
        return value


class NewFlowBody(_SizedBody):
    """A flow to add: at most 1,000 jobs, 20 levels deep."""

    flow: FlowNodeBody
    queuesOptions: dict[Queue, QueueOptionsModel] = Field(default={}, max_length=MAX_BULK)

    def roots(self, trace: dict[str, t.Any]) -> dict[str, FlowNode]:
        """Return the flow by its path in the request; every job has the options in `trace` by default."""
        return {"flow": _node(self.flow, self.queuesOptions, trace)}


class NewFlowsBody(_SizedBody):
    """Flows to add: at most 1,000 jobs in all, 20 levels deep."""

    flows: list[FlowNodeBody] = Field(min_length=1, max_length=MAX_BULK)

    def roots(self, trace: dict[str, t.Any]) -> dict[str, FlowNode]:
        """Return the flows by their paths in the request; every job has the options in `trace` by default."""
        return {f"flows.{index}": _node(root, {}, trace) for index, root in enumerate(self.flows)}


@dataclass(frozen=True)
class FlowNode:
    """A job to add with its children. `opts` has BullMQ's long names; a parent in it is an existing job."""

    name: str
    queue: str
    data: t.Any
    opts: dict[str, t.Any]
    children: t.Sequence[FlowNode] = ()


def check_jobs(roots: t.Mapping[str, FlowNode]) -> None:
    """Raise Refusal for jobs that cannot be in one request. `roots` has the flows by their paths in it.

    The sizes of their data are for `refusals.check_size`.
    """
    parents = [root.opts["parent"] for root in roots.values() if "parent" in root.opts]
    taken: set[tuple[str, str | None]] = {(parent["queue"], parent["id"]) for parent in parents}
    for path, node in jobs_by_path(roots):
        is_root = path in roots
        if "parent" in node.opts and not is_root:
            raise invalid(f"{path}.opts.parent", "a child has the job above it as its parent: leave this out")
        if "deduplication" in node.opts and (node.children or not is_root):
            raise invalid(
                f"{path}.opts.deduplication", "a deduplicated job could keep its parent waiting forever: use jobId"
            )
        key = (node.queue, node.opts.get("jobId"))
        if key in taken:
            raise invalid(f"{path}.opts.jobId", "the request has a job with this id and queue already")
        if key[1] is not None:
            taken.add(key)


def jobs_by_path(roots: t.Mapping[str, FlowNode]) -> t.Iterator[tuple[str, FlowNode]]:
    """Yield all jobs of flows with their paths in the request."""
    left = list(roots.items())
    while left:
        path, node = left.pop()
        left += [(f"{path}.children.{index}", child) for index, child in enumerate(node.children)]
        yield path, node


def _node(body: FlowNodeBody, queues: t.Mapping[str, QueueOptionsModel], trace: dict[str, t.Any]) -> FlowNode:
    own = body.opts.given()
    defaults = queues[body.queueName].defaultJobOptions.given() if body.queueName in queues else {}
    if any(own.get(policy) for policy in FAILURE_POLICIES):  # they exclude each other
        defaults = {option: value for option, value in defaults.items() if option not in FAILURE_POLICIES}
    children = [_node(child, queues, trace) for child in body.children]
    return FlowNode(body.name, body.queueName, body.data, {**trace, **defaults, **own}, children)


def _check_count(level: t.Sequence[t.Any]) -> None:
    """Raise ValueError for too many nodes or levels, whatever the nodes hold."""
    nodes = depth = 0
    while level:
        nodes, depth = nodes + len(level), depth + 1
        if nodes > MAX_BULK or depth > MAX_FLOW_DEPTH:
            raise ValueError(f"a request has at most {MAX_BULK} jobs in flows of at most {MAX_FLOW_DEPTH} levels")
        level = [child for node in level for child in _list(node, "children")]


def _list(value: t.Any, member: str) -> list[t.Any]:
    found = _member(value, member)
    return [*t.cast("t.Iterable[t.Any]", found)] if isinstance(found, list) else []


def _member(value: t.Any, member: str) -> t.Any:
    return t.cast("dict[str, t.Any]", value).get(member) if isinstance(value, dict) else None
