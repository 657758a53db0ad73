"""The audit log: who did what."""

from __future__ import annotations

import re

from starlette.responses import Response

from ...projects.roles import Role
from ..visits import Visit, needs

PAGE = 100
"""How many actions a page shows."""

_CURSOR = re.compile("[1-9][0-9]{0,17}-[0-9]{1,18}")
_MAX_WORD = 300


@needs(Role.VIEWER)
async def page(visit: Visit) -> Response:
    """Show the actions, the newest first."""
    query = visit.request.query_params
    asked = {name: query.get(name, "")[:_MAX_WORD] for name in ("who", "action", "queue")}
    cursor = query.get("cursor", "")
    found = await visit.service.audit.read(
        limit=PAGE,
        cursor=cursor if _CURSOR.fullmatch(cursor) else None,
        who=asked["who"] or None,
        action=asked["action"] or None,
        queue=asked["queue"] or None,
    )
    now = await visit.service.overview.now()
    return visit.page("audit.html", section="audit", now=now, found=found, asked=asked)
