"""/v1/queues/{queue}/jobs/{id}/…: the children of a job in a flow, and its link to its parent."""

from __future__ import annotations

import typing as t

from fastapi import Query, Response

from nextmq_handler.rules.limits import MAX_PAGE
from nextmq_handler.rules.models import Closed
from nextmq_handler.rules.views import by_name, dependencies_view

from .errors import ASCIIResponse
from .request import Empty, Job, Removed, router

routes = router("/v1/queues/{queue}/jobs/{id}", "flows")


class ChildrenValues(Closed):
    """What the children returned, by `queue:id`."""

    values: dict[str, t.Any]


class IgnoredFailures(Closed):
    """Why children failed whose failure the parent ignores, by `queue:id`."""

    failures: dict[str, str]


class DependencyCounts(Closed):
    """How many children of each kind there are."""

    processed: int
    unprocessed: int
    ignored: int
    failed: int


class DependencyPage(Closed):
    """Children as `queue:id`: completed ones with their results, ignored ones with the reason they failed."""

    processed: dict[str, t.Any]
    unprocessed: list[str]
    ignored: dict[str, str]
    failed: list[str]
    counts: DependencyCounts


@routes.get("/children-values", response_model=ChildrenValues)
async def get_children_values(job: Job) -> Response:
    """Get the results of the children that have completed."""
    return ASCIIResponse({"values": by_name(await job.service.children.values(job.queue, job.id))})


@routes.get("/ignored-failures", response_model=IgnoredFailures)
async def get_ignored_failures(job: Job) -> Response:
    """Get the reasons of the children that failed and that the job ignores."""
    return ASCIIResponse({"failures": by_name(await job.service.children.ignored_failures(job.queue, job.id))})


@routes.get("/dependencies", response_model=DependencyPage)
async def get_dependencies(
    job: Job, limit: t.Annotated[int, Query(ge=1, le=MAX_PAGE, description="of each kind")] = MAX_PAGE
) -> Response:
    """List the job's children by their outcome."""
    found = await job.service.children.dependencies(job.queue, job.id, limit)
    counts = await job.service.children.counts(job.queue, job.id)
    return ASCIIResponse(dependencies_view(**found._asdict(), counts=counts))


@routes.delete("/parent")
async def remove_child_dependency(job: Job) -> Removed:
    """Unlink the job from its parent, which no longer waits for it."""
    return Removed(removed=await job.service.children.remove_dependency(job.queue, job.id))


@routes.delete("/children")
async def remove_unprocessed_children(job: Job) -> Empty:
    """Remove the job's children that are neither finished nor running, with their own children."""
    await job.service.children.remove_unprocessed(job.queue, job.id)
