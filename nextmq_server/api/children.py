"""/v1/queues/{queue}/jobs/{id}/…: the children of a job in a flow, and its tie to its parent."""

from __future__ import annotations

import typing as t

from fastapi import APIRouter, Query, Response

from ..engine.queues.children import ChildDependencies
from .errors import DOCUMENTED, ASCIIResponse
from .job_changes import Job
from .request import Closed, Done, Removed, StrictRoute

MAX_CHILDREN = 1000

router = APIRouter(
    prefix="/v1/queues/{queue}/jobs/{id}", tags=["flows"], route_class=StrictRoute, responses=DOCUMENTED
)


class ChildrenValues(Closed):
    """What children returned, by `queue:id`."""

    values: dict[str, t.Any]


class IgnoredFailures(Closed):
    """Why children failed whose failure the parent goes on from, by `queue:id`."""

    failures: dict[str, str]


class DependencyCounts(Closed):
    """How many children of each kind there are."""

    processed: int
    unprocessed: int
    ignored: int
    failed: int


class DependencyPage(Closed):
    """Children as `queue:id`: the completed ones with their values, the ignored ones with why they failed."""

    processed: dict[str, t.Any]
    unprocessed: list[str]
    ignored: dict[str, str]
    failed: list[str]
    counts: DependencyCounts


@router.get("/children-values", response_model=ChildrenValues)
async def get_children_values(job: Job) -> Response:
    """What the children returned that completed."""
    values = await job.do(job.service.children.values(job.queue, job.id))
    return ASCIIResponse({"values": _by_name(values)})


@router.get("/ignored-failures", response_model=IgnoredFailures)
async def get_ignored_failures(job: Job) -> Response:
    """Why children failed whose failure does not keep the job from running."""
    failures = await job.do(job.service.children.ignored_failures(job.queue, job.id))
    return ASCIIResponse({"failures": _by_name(failures)})


@router.get("/dependencies", response_model=DependencyPage)
async def get_dependencies(
    job: Job, limit: t.Annotated[int, Query(ge=1, le=MAX_CHILDREN, description="of each kind")] = MAX_CHILDREN
) -> Response:
    """The job's children by what became of them."""
    found: ChildDependencies = await job.do(job.service.children.dependencies(job.queue, job.id, limit))
    return ASCIIResponse(
        {
            "processed": _by_name(found.processed),
            "unprocessed": [str(child) for child in found.unprocessed],
            "ignored": _by_name(found.ignored),
            "failed": [str(child) for child in found.failed],
            "counts": await job.do(job.service.children.counts(job.queue, job.id)),
        }
    )


@router.delete("/parent")
async def remove_child_dependency(job: Job) -> Removed:
    """Let the job's parent go on without it."""
    return Removed(removed=await job.do(job.service.children.remove_dependency(job.queue, job.id)))


@router.delete("/children")
async def remove_unprocessed_children(job: Job) -> Done:
    """Remove the job's children that neither finished nor run, with their own."""
    await job.do(job.service.children.remove_unprocessed(job.queue, job.id))
    return Done()


def _by_name(children: t.Mapping[t.Any, t.Any]) -> dict[str, t.Any]:
    return {str(child): value for child, value in children.items()}
