"""The endpoints: where each queue's jobs are delivered, how that goes, and since when it does not."""

from __future__ import annotations

import typing as t

from starlette.responses import Response

from ...projects.roles import Role
from ..visits import Visit, needs


@needs(Role.VIEWER)
async def page(visit: Visit) -> Response:
    """Show the registrations of the project, those that are held first."""
    registrations = visit.service.registry.all()
    views = await visit.service.overview.views(sorted(registrations))
    views.sort(key=_trouble)
    return visit.page(
        "endpoints.html",
        section="endpoints",
        now=await visit.service.overview.now(),
        views=[view for view in views if view["worker"] is not None],
        held=sum(view["hold"] is not None for view in views),
    )


def _trouble(view: t.Mapping[str, t.Any]) -> tuple[bool, str]:
    return view["hold"] is None, view["name"]
