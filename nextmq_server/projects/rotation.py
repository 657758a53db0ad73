"""The steps of a rotation: a project with a new key or secret before the old ones, and one without an old one."""

from __future__ import annotations

import dataclasses
import typing as t

from nextmq_handler.errors import ConfigurationError
from nextmq_handler.protocol.signing import generate_secret

from .projects import Project, new_api_key
from .roles import ApiKey, Role

T = t.TypeVar("T")


def with_new_secret(project: Project) -> Project:
    """Return the project with a new webhook secret, which comes first: new connection strings have it."""
    return dataclasses.replace(project, webhook_secrets=(generate_secret(), *project.webhook_secrets))


def with_new_key(project: Project) -> Project:
    """Return the project with a new API key, which comes first: new connection strings have it.

    It has the role and the name of the one that was first.
    """
    first = project.api_keys[0]
    new = new_api_key() if isinstance(first, str) else dataclasses.replace(first, key=new_api_key())
    return dataclasses.replace(project, api_keys=(new, *project.api_keys))


def with_key_of(project: Project, role: Role, name: str | None) -> Project:
    """Return the project with a new API key of `role`, which comes last: connection strings stay as they are."""
    return dataclasses.replace(project, api_keys=(*project.api_keys, ApiKey(new_api_key(), role, name)))


def without(project: Project, id: str, *, forced: bool) -> Project:
    """Return the project without the API key or webhook secret of this id. `forced` names a secret as retired.

    Raises ConfigurationError if the project has none of this id, or no other one.
    """
    secrets = {secret.id: text for secret, text in zip(project.secrets, project.webhook_secrets, strict=True)}
    keys = dict(zip(project.key_ids, project.api_keys, strict=True))
    if id in secrets:
        left = _others(project, "webhook secret", secrets, id)
        retired = (*project.retired_secrets, *([id] if forced and id not in project.retired_secrets else []))
        return dataclasses.replace(project, webhook_secrets=left, retired_secrets=retired)
    if id in keys:
        return dataclasses.replace(project, api_keys=_others(project, "API key", keys, id))
    raise ConfigurationError(
        f"project {project.name} has no API key and no webhook secret with the id {id}: nextmq projects show "
        f"{project.name} lists them"
    )


def _others(project: Project, what: str, values: t.Mapping[str, T], id: str) -> tuple[T, ...]:
    left = tuple(value for each, value in values.items() if each != id)
    if not left:
        raise ConfigurationError(
            f"{id} is the only {what} of project {project.name}: add another one with nextmq projects rotate first"
        )
    return left
