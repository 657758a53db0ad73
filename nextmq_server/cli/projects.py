"""`nextmq projects show`: which API keys and webhook secrets a project has, and when each was last used."""

from __future__ import annotations

import typing as t
from pathlib import Path

from nextmq_handler.errors import ConfigurationError

from ..projects.credentials import Credentials, LastUse, moment
from ..projects.projects_file import load_projects
from ..redis.address import Address
from ..redis.connection import ConnectionLost, RedisConnection, RedisError
from ..workers.registry import Registry


async def show_project(path: Path, name: str, redis_url: str) -> list[str]:
    """Return lines about the project `name` of the file `path`. They contain no key and no secret.

    Raises ConfigurationError if the project does not exist or Redis cannot be reached.
    """
    projects = {project.name: project for project in load_projects(path)}
    if name not in projects:
        raise ConfigurationError(f"{path} has no project {name}: choose one of {', '.join(projects)}")
    connection = RedisConnection(Address(redis_url), name="nextmq-projects-show")
    await connection.connect()
    try:
        credentials = Credentials(projects[name], connection, Registry(connection, name))
        keys, secrets = await credentials.api_keys(), await credentials.webhook_secrets()
    except (RedisError, ConnectionLost) as exc:
        raise ConfigurationError(f"cannot read the last uses: Redis answered {exc}") from None
    finally:
        await connection.close()
    return [*_lines("API key", keys, "used"), *_lines("webhook secret", secrets, "signed an outcome")]


def _lines(what: str, uses: t.Iterable[LastUse], verb: str) -> t.Iterator[str]:
    for use in uses:
        yield f"{what} {use.id} {f'last {verb} {moment(use.at)}' if use.at is not None else f'never {verb}'}"
