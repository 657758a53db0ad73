"""/v1/queues/{queue}/jobs/{id}/…: the children of a job in a flow, and its link to its parent."""

from __future__ import annotations

import re
import typing as t

from fastapi import Query, Response

from nextmq_handler.rules.limits import MAX_PAGE
from nextmq_handler.rules.models import Closed
from nextmq_handler.rules.refusals import invalid, no_such_job
from nextmq_handler.rules.search.redaction import Redaction
from nextmq_handler.rules.views import ParentView, dependencies_view

from ..engine.queues.children import ChildKey, ChildrenPiece
from ..engine.queues.reading import FIRST_FIELD
from .http.errors import ASCIIResponse
from .http.paging import From, Piece, answer_object, member
from .http.request import Empty, Hides, Job, OwnedJob, Removed, router

_PLACE = re.compile("[0-9]{1,19}:[0-9]{1,9}")

routes = router("/v1/queues/{queue}/jobs/{id}", "flows")


class ChildrenValues(Closed):
    """What the children returned, by `queue:id`. `next` is where to go on, if there is more."""

    values: dict[str, t.Any]
    next: str | None = None


class IgnoredFailures(Closed):
    """Why children failed whose failure the parent ignores, by `queue:id`; `next` as for their values."""

    failures: dict[str, str]
    next: str | None = None


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


class FlowRoot(Closed):
    """The root of a job's flow, and how many levels it is above the job: 0 for the job itself."""

    root: ParentView
    levels: int


@routes.get("/children-values", response_model=ChildrenValues)
async def get_children_values(job: Job, redaction: Hides, position: From = None) -> Response:
    """Get the results of the children that have completed. `next` is the `from` of those beyond 16 MiB."""
    return await _answer(job, job.service.children.values, position, "values", redaction)


@routes.get("/ignored-failures", response_model=IgnoredFailures)
async def get_ignored_failures(job: Job, redaction: Hides, position: From = None) -> Response:
    """Get the reasons of the children that failed and that the job ignores; `next` as for their values."""
    return await _answer(job, job.service.children.ignored_failures, position, "failures", redaction)


@routes.get("/dependencies", response_model=DependencyPage)
async def get_dependencies(
    job: Job,
    redaction: Hides,
    limit: t.Annotated[int, Query(ge=1, le=MAX_PAGE, description="of each kind")] = MAX_PAGE,
) -> Response:
    """List the job's children by their outcome."""
    found = await job.service.children.dependencies(job.queue, job.id, limit)
    counts = await job.service.children.counts(job.queue, job.id)
    view = dependencies_view(**found._asdict(), counts=counts)
    return ASCIIResponse(view if redaction is None else redaction.value(view))


@routes.get("/root", response_model=FlowRoot)
async def get_root(job: Job) -> Response:
    """Get the root of the job's flow: the highest job above it that still exists, at most 64 levels up."""
    if await job.service.jobs.scripts(job.queue).fields(job.id, "timestamp") == [None]:
        raise no_such_job(job.queue, job.id)
    root, levels = await job.service.flows.root(job.queue, job.id)
    return ASCIIResponse({"root": {"id": root.id, "queue": root.queue}, "levels": levels})


@routes.delete("/parent")
async def remove_child_dependency(job: Job) -> Removed:
    """Unlink the job from its parent, which no longer waits for it."""
    return Removed(removed=await job.service.children.remove_dependency(job.queue, job.id))


@routes.delete("/children")
async def remove_unprocessed_children(job: Job) -> Empty:
    """Remove the job's children that are neither finished nor running, with their own children."""
    await job.service.children.remove_unprocessed(job.queue, job.id)


def _unchanged(value: t.Any) -> t.Any:
    return value


async def _answer(
    job: OwnedJob,
    find: t.Callable[[str, str, str], t.Awaitable[ChildrenPiece]],
    position: str | None,
    name: str,
    redaction: Redaction | None,
) -> Response:
    shown = set[ChildKey]()  # Redis may find a child twice

    async def read(position: str | None) -> Piece:
        found, following = await find(job.queue, job.id, position or FIRST_FIELD)
        new = [child for child in found if child not in shown]
        shown.update(new)
        hide = _unchanged if redaction is None else redaction.bounded
        return Piece([member(str(child), hide(found[child])) for child in new], following)

    if position is not None and not _PLACE.fullmatch(position):
        raise invalid("from", "not a place in this list: send the `next` of the answer before")
    return await answer_object(job.service.shares, read, position, name)
