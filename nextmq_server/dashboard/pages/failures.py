"""The failures of all queues, grouped by what went wrong."""

from __future__ import annotations

import typing as t

from starlette.responses import Response

from nextmq_handler.rules.search.filters import FilterError, term
from nextmq_handler.rules.search.redaction import Redaction
from nextmq_handler.rules.views import JobView

from ...engine.queues.search.failures import FailureGroup
from ...projects.roles import Role
from ..visits import Visit, needs
from .search import SEARCH_TIMEOUT, turn

MAX_SHOWN = 50
"""How many groups a page shows, those that failed last."""

SAMPLES = 3
"""How many jobs of a group a page shows."""

MAX_REASON = 200
"""How many characters of a reason its filter has."""

MAX_VALUE = 500
"""A longer name, in characters, is left out of a filter."""

_REDACTION = Redaction()
_GAP = "…"  # what stands in a reason for numbers, ids and addresses


class ShownGroup(t.NamedTuple):
    """A group as the page shows it: `filter` finds its jobs, `samples` are some of them."""

    view: FailureGroup
    filter: str
    samples: list[JobView]


@needs(Role.VIEWER, within=SEARCH_TIMEOUT)
async def page(visit: Visit) -> Response:
    """Show what goes wrong, and how often."""
    query = visit.request.query_params
    queue, name = query.get("queue") or None, query.get("name") or None
    now = await visit.service.overview.now()
    async with turn(visit):
        look = await visit.service.failures.look(queue, name, now=now)
    groups = sorted(look.groups, key=lambda group: -group["count"])
    shown = groups[:MAX_SHOWN]
    wanted = [(group["queue"], id) for group in shown for id in group["sampleIds"][:SAMPLES]]
    jobs = await visit.service.jobs.first_of(wanted) if wanted else []
    found = {(place[0], job["id"]): job for place, job in zip(wanted, jobs, strict=False) if job}
    return visit.page(
        "failures.html",
        section="failures",
        now=now,
        groups=[_group(group, found) for group in shown],
        look=look,
        total=sum(group["count"] for group in groups),
        letters=sum(group["deadLetters"] for group in groups),
        queues=sorted({group["queue"] for group in groups}),
        names=sorted({group["name"] for group in groups}),
        queue=queue,
        name=name,
    )


def filter_of(group: FailureGroup) -> str:
    """Return the search that finds the jobs of a group: by the longest part of its reason that never changes."""
    fixed = max(group["reason"].split(_GAP), key=len).strip()[:MAX_REASON]
    parts = ("state:failed", _term("queue", group["queue"]), _term("name", group["name"]), _term("error", fixed))
    return " ".join(filter(None, parts))


def _term(field: str, value: str) -> str:
    """Return a term; nothing for a value that no filter can have."""
    try:
        return term(field, value) if len(value) <= MAX_VALUE else ""
    except FilterError:
        return ""


def _group(group: FailureGroup, found: t.Mapping[tuple[str, str], JobView]) -> ShownGroup:
    samples = [found[group["queue"], id] for id in group["sampleIds"] if (group["queue"], id) in found]
    view: FailureGroup = {
        **group,
        "name": _REDACTION.text(group["name"]),
        "reason": _REDACTION.text(group["reason"]),
    }
    return ShownGroup(view, filter_of(group), [_REDACTION.job(job) for job in samples])
