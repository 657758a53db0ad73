"""GET /v1/project: which keys and secrets a project has, and when each was last used (protocol section 6)."""

from __future__ import annotations

import typing as t

from fastapi import APIRouter

from ..projects.credentials import LastUse
from .errors import DOCUMENTED
from .request import Authorized, Closed, StrictRoute

router = APIRouter(prefix="/v1/project", tags=["project"], route_class=StrictRoute, responses=DOCUMENTED)


class CredentialView(Closed):
    """A key or a secret by its id: what it is nobody is told. `lastUsed` is ms since the epoch, null for never."""

    id: str
    lastUsed: int | None


class ProjectView(Closed):
    """The project of the API key. A use is noted once a minute; a webhook secret is used to sign an outcome."""

    name: str
    apiKeys: list[CredentialView]
    webhookSecrets: list[CredentialView]


@router.get("")
async def get_project(service: Authorized) -> ProjectView:
    """The project, and when each of its API keys and webhook secrets was last used."""
    credentials = service.credentials
    return ProjectView(
        name=service.project.name,
        apiKeys=_views(await credentials.api_keys()),
        webhookSecrets=_views(await credentials.webhook_secrets()),
    )


def _views(uses: t.Iterable[LastUse]) -> list[CredentialView]:
    return [CredentialView(id=use.id, lastUsed=use.at) for use in uses]
