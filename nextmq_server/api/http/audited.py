"""Note what operators do: each call of a route that has an action, before it and after it."""

from __future__ import annotations

import contextlib
import functools
import typing as t
from urllib.parse import unquote

from fastapi import Depends, Request

from ...audit.entries import AuditEntry, Who
from ...audit.log import Changes
from ...front import caller
from ...projects.roles import ApiKey
from ...service import Service
from ..access import Access
from .errors import code_of

DELIVERY_HEADER = "x-nextmq-delivery"
"""The header with which a processor names its delivery."""


@contextlib.asynccontextmanager
async def audited(access: Access, request: Request, service: Service, key: ApiKey) -> t.AsyncGenerator[None]:
    """Note the call, if it is one that the audit log has. A dry run is not. Raises AuditUnavailable."""
    request.state.changes = Changes()
    in_delivery = DELIVERY_HEADER in request.headers
    if not access.is_audited(key, in_delivery=in_delivery) or request.query_params.get("dryRun") == "true":
        yield
        return
    names = {name: unquote(value) for name, value in request.path_params.items()}
    queue = names.pop("queue", None)
    entry = AuditEntry(
        who=Who.of(key),
        address=caller.address(request.scope),
        action=access.action or "",
        queue=queue,
        ids=list(names.values()),
        request_id=request.state.request_id,
    )
    async with service.audit.noted(entry, functools.partial(code_of, request)) as changes:
        request.state.changes = changes
        yield


async def get_changes(request: Request) -> Changes:
    """Return where the route notes which jobs it changed."""
    changes: Changes = request.state.changes
    return changes


Noted = t.Annotated[Changes, Depends(get_changes)]
