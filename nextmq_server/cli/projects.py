"""`nextmq projects`: add a project to the file; show when each API key and webhook secret was last used."""

from __future__ import annotations

import typing as t
from pathlib import Path

import typer

from nextmq_handler.errors import ConfigurationError

from ..projects import key_names
from ..projects.credentials import Credentials, LastUse, moment
from ..projects.projects import Project
from ..projects.projects_file import add_project, check_base_url, load_projects
from ..redis.address import Address
from ..redis.connection import ConnectionLost, RedisConnection, RedisError
from ..workers.registry import Registry
from .options import ProjectsFile, RedisURL, exit_on_error, on_event_loop

app = typer.Typer(no_args_is_help=True, help="Manage the projects file of nextmq serve.")


@app.command()
@exit_on_error("nextmq projects add")
def add(
    name: t.Annotated[str, typer.Argument(help="The project's name: A-Z a-z 0-9 . _ ~ -")],
    projects: ProjectsFile,
    url: t.Annotated[str, typer.Option(help="The URL at which apps reach the server.")] = "http://127.0.0.1:7410",
    prefix: t.Annotated[
        str | None, typer.Option(help="The BullMQ key prefix. Default: NAME. BullMQ's own clients use bull.")
    ] = None,
) -> None:
    """Create a project and print its NEXTMQ_URL. Send running servers a SIGHUP to serve it."""
    base_url = check_base_url(url)
    typer.echo(add_project(projects, name, prefix=prefix or name).connection_string(base_url))
    typer.echo(
        f"{projects} holds the key and the secret too. Send running servers a SIGHUP to serve the project.",
        err=True,
    )


@app.command()
@exit_on_error("nextmq projects show")
@on_event_loop
async def show(
    name: t.Annotated[str, typer.Argument(help="The name of a project in the file.")],
    projects: ProjectsFile,
    redis_url: RedisURL,
) -> None:
    """Show when each API key was last used and when each webhook secret last signed an outcome, by their ids."""
    project, address = _find(name, projects), Address(redis_url)
    redis_keys = await key_names.find_keys(address, project)
    connection = RedisConnection(address, name="nextmq-projects-show")
    await connection.connect()
    try:
        credentials = Credentials(project, connection, redis_keys, Registry(connection, redis_keys))
        keys, secrets = await credentials.api_keys(), await credentials.webhook_secrets()
    except (RedisError, ConnectionLost) as exc:
        raise ConfigurationError(f"cannot read the last uses: Redis answered {exc}") from None
    finally:
        await connection.close()
    _print("API key", keys, "used")
    _print("webhook secret", secrets, "signed an outcome")


@app.command()
@exit_on_error("nextmq projects move-keys")
@on_event_loop
async def move_keys(
    name: t.Annotated[str, typer.Argument(help="The name of a project in the file.")],
    projects: ProjectsFile,
    redis_url: RedisURL,
    back: t.Annotated[bool, typer.Option("--back", help="Give them the names of version 0.1 again.")] = False,
) -> None:
    """Rename the Redis keys of a project that version 0.1 has served. Stop all servers on that Redis first."""
    project = _find(name, projects)
    connection = RedisConnection(Address(redis_url), name="nextmq-projects-move-keys")
    await connection.connect()
    try:
        renamed = await key_names.move_keys(connection, project, back=back)
    except (RedisError, ConnectionLost) as exc:
        raise ConfigurationError(f"Redis answered {exc}: run this again, it goes on where it stopped") from None
    finally:
        await connection.close()
    typer.echo(f"Renamed {renamed} keys of project {name}.")


def _find(name: str, file: Path) -> Project:
    projects = {project.name: project for project in load_projects(file)}
    if name not in projects:
        raise ConfigurationError(f"{file} has no project {name}: choose one of {', '.join(projects)}")
    return projects[name]


def _print(what: str, uses: t.Iterable[LastUse], verb: str) -> None:
    for use in uses:
        typer.echo(f"{what} {use.id} {f'last {verb} {moment(use.at)}' if use.at is not None else f'never {verb}'}")
