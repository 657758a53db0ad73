"""GET /v1/project: which keys and secrets a project has, and when each was last used (protocol section 6)."""

from __future__ import annotations

import typing as t

from nextmq_handler.rules.models import Closed

from ..projects.credentials import LastUse
from .http.request import Authorized, router

routes = router("/v1/project", "project")


class CredentialView(Closed):
    """A key or a secret by its id, never its value. `lastUsed` is ms since the epoch, null for never."""

    id: str
    lastUsed: int | None


class ProjectView(Closed):
    """The project of the API key.

    A use is recorded at most once a minute. A webhook secret counts as used when it signs an outcome.
    """

    name: str
    apiKeys: list[CredentialView]
    webhookSecrets: list[CredentialView]


@routes.get("")
async def get_project(service: Authorized) -> ProjectView:
    """Get the project, and when each of its API keys and webhook secrets was last used."""
    credentials = service.credentials
    return ProjectView(
        name=service.project.name,
        apiKeys=_views(await credentials.api_keys()),
        webhookSecrets=_views(await credentials.webhook_secrets()),
    )


def _views(uses: t.Iterable[LastUse]) -> list[CredentialView]:
    return [CredentialView(id=use.id, lastUsed=use.at) for use in uses]
