"""GET /v1/project: which keys and secrets a project has, and when each was last used (protocol section 6)."""

from __future__ import annotations

import typing as t

from nextmq_handler.rules.models import Closed

from ..projects.roles import ApiKey, Role
from .http.request import Authorized, CallersKey, router

routes = router("/v1/project", "project")


class CredentialView(Closed):
    """A key or a secret by its id, never its value. `lastUsed` is ms since the epoch, null for never."""

    id: str
    lastUsed: int | None


class KeyView(CredentialView):
    """An API key by its id, with its role and name."""

    role: Role
    name: str | None


class ProjectView(Closed):
    """The project of the API key, and the `key` itself, by its id.

    A use is recorded at most once a minute. A webhook secret counts as used when it signs an outcome.
    """

    name: str
    key: KeyView
    apiKeys: list[KeyView]
    webhookSecrets: list[CredentialView]


@routes.get("")
async def get_project(service: Authorized, callers_key: CallersKey) -> ProjectView:
    """Get the project, the role of the key in use, and when each API key and webhook secret was last used."""
    credentials = service.credentials
    uses = dict(await credentials.api_keys())
    secrets = await credentials.webhook_secrets()
    return ProjectView(
        name=service.project.name,
        key=_view(callers_key, uses),
        apiKeys=[_view(key, uses) for key in service.project.keys],
        webhookSecrets=[CredentialView(id=use.id, lastUsed=use.at) for use in secrets],
    )


def _view(key: ApiKey, uses: t.Mapping[str, int | None]) -> KeyView:
    return KeyView(id=key.id, lastUsed=uses.get(key.id), role=key.role, name=key.name)
