"""The server: its processes, its Redis, and what the project uses."""

from __future__ import annotations

from starlette.responses import Response

from ...projects.roles import Role
from ..visits import Visit, needs


@needs(Role.VIEWER)
async def page(visit: Visit) -> Response:
    """Show the server as the project sees it."""
    view = await visit.service.server.view()
    return visit.page("server.html", section="server", now=view["at"], server=view)
