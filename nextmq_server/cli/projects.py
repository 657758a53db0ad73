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
    """Lines about the project called `name` in the file `path`: neither a key nor a secret is in them.

    Raises ConfigurationError where there is no such project, or Redis cannot be asked.
    """
    projects = {project.name: project for project in load_projects(path)}
    if name not in projects:
        raise ConfigurationError(f"{path} has no project {name}, but {', '.join(projects)}")
    connection = RedisConnection(Address(redis_url), name="nextmq-projects-show")
    await connection.connect()
    try:
        credentials = Credentials(projects[name], connection, Registry(connection, name))
        keys, secrets = await credentials.api_keys(), await credentials.webhook_secrets()
    except (RedisError, ConnectionLost) as exc:
        raise ConfigurationError(f"the last uses cannot be read: Redis answered {exc}") from None
    finally:
        await connection.close()
    return [*_lines("API key", keys, "used"), *_lines("webhook secret", secrets, "signed an outcome")]


def _lines(what: str, uses: t.Iterable[LastUse], verb: str) -> t.Iterator[str]:
    for use in uses:
        yield f"{what} {use.id} {f'last {verb} {moment(use.at)}' if use.at is not None else f'never {verb}'}"
