"""`nextmq projects`: add and remove projects of the file; add, rotate and show their keys and secrets."""

from __future__ import annotations

import contextlib
import typing as t

import typer

from nextmq_handler.cli.confirm import confirm
from nextmq_handler.cli.options import AsJson, Yes
from nextmq_handler.cli.output import count, print_json, say, table
from nextmq_handler.errors import ConfigurationError

from ..projects import key_names
from ..projects.credentials import Credentials, LastUse, moment
from ..projects.projects import Project
from ..projects.projects_file import (
    add_project,
    change_project,
    check_base_url,
    find_project,
    load_projects,
    remove_project,
)
from ..projects.removal import check_unserved, count_jobs, remove_jobs
from ..projects.roles import MAX_KEY_NAME, Role
from ..projects.rotation import with_key_of, with_new_key, with_new_secret, without
from ..redis.address import Address
from ..redis.connection import ConnectionLost, RedisConnection, RedisError
from ..workers.registry import Registry
from .options import ProjectsFile, RedisURL, exit_on_error, on_event_loop

ProjectName = t.Annotated[str, typer.Argument(help="The name of a project in the file.")]
BaseURL = t.Annotated[str, typer.Option(help="The URL at which apps reach the server.")]

app = typer.Typer(no_args_is_help=True, help="Manage the projects file of nextmq serve.")


@app.command()
@exit_on_error("nextmq projects add")
def add(
    name: t.Annotated[str, typer.Argument(help="The project's name: A-Z a-z 0-9 . _ ~ -")],
    projects: ProjectsFile,
    url: BaseURL = "http://127.0.0.1:7410",
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


@app.command("list")
@exit_on_error("nextmq projects list")
def list_projects(projects: ProjectsFile, as_json: AsJson = False) -> None:
    """List the projects of the file with the ids of their keys and secrets; no value is shown."""
    found = load_projects(projects)
    if as_json:
        print_json([_view(project) for project in found])
        return
    rows = [
        [
            project.name,
            project.prefix,
            ", ".join(f"{key.id} {key.role}{f' {key.name}' if key.name else ''}" for key in project.keys),
            ", ".join(secret.id for secret in project.secrets),
        ]
        for project in found
    ]
    say(*table(("name", "prefix", "api keys", "webhook secrets"), rows))


@app.command("add-key")
@exit_on_error("nextmq projects add-key")
def add_key(
    name: ProjectName,
    projects: ProjectsFile,
    role: t.Annotated[Role, typer.Option(help="What the key may do: viewer only reads.")],
    key_name: t.Annotated[
        str | None, typer.Option("--name", help="Whose key it is, for the audit log, such as grafana.")
    ] = None,
    url: BaseURL = "http://127.0.0.1:7410",
) -> None:
    """Add an API key with a role, and print a NEXTMQ_URL with it. Send running servers a SIGHUP."""
    base_url = check_base_url(url)
    if key_name is not None and not (key_name.isprintable() and 0 < len(key_name) <= MAX_KEY_NAME):
        raise ConfigurationError(f"--name takes 1 to {MAX_KEY_NAME} printable characters")
    project = change_project(projects, name, lambda now: with_key_of(now, role, key_name))
    new = project.keys[-1]
    typer.echo(project.connection_string(base_url, new))
    typer.echo(
        f"Send running servers a SIGHUP: they take the key. To remove it: nextmq projects retire {name} {new.id}",
        err=True,
    )


@app.command()
@exit_on_error("nextmq projects remove")
@on_event_loop
async def remove(
    name: ProjectName,
    projects: ProjectsFile,
    with_jobs: t.Annotated[
        bool, typer.Option("--with-jobs", help="Remove its jobs from Redis too, for good.")
    ] = False,
    redis_url: t.Annotated[
        str | None, typer.Option(envvar="NEXTMQ_REDIS_URL", help="The Redis with the jobs, for --with-jobs.")
    ] = None,
    yes: Yes = False,
) -> None:
    """Remove a project from the file. Its jobs stay in Redis, unless you pass --with-jobs."""
    project = find_project(load_projects(projects), name, projects)
    if not with_jobs:
        confirm(
            f"remove project {name} from {projects}; its keys stop working when the servers restart, and its jobs "
            f"stay in Redis below the prefix {project.prefix}",
            yes=yes,
        )
        remove_project(projects, name)
        typer.echo(f"Restart the servers. To serve the jobs again: nextmq projects add {name}", err=True)
        return
    if redis_url is None:
        raise ConfigurationError("--with-jobs needs the Redis with the jobs: pass --redis-url")
    address = Address(redis_url)
    redis_keys = await key_names.find_keys(address, project)
    try:
        async with RedisConnection.opened(address, name="nextmq-projects-remove") as connection:
            await check_unserved(connection, redis_keys, name)
            counts = await count_jobs(connection, project)
            jobs = f"{count(sum(counts.values()), 'job')} in {count(len(counts), 'queue')}"
            confirm(
                f"remove project {name} from {projects}, and for good its {jobs}: all keys of Redis below the "
                f"prefix {project.prefix}, whoever wrote them",
                yes=yes,
            )
            removed = await remove_jobs(connection, redis_keys, project)
    except (RedisError, ConnectionLost) as exc:
        raise ConfigurationError(f"Redis answered {exc}: run this again, it goes on where it stopped") from None
    remove_project(projects, name)
    typer.echo(f"Removed project {name} and {removed:,} keys of Redis.", err=True)


@app.command()
@exit_on_error("nextmq projects show")
@on_event_loop
async def show(
    name: ProjectName,
    projects: ProjectsFile,
    redis_url: RedisURL,
) -> None:
    """Show when each API key was last used and when each webhook secret last signed an outcome, by their ids."""
    project = find_project(load_projects(projects), name, projects)
    async with _credentials(project, redis_url) as credentials:
        keys, secrets = await credentials.api_keys(), await credentials.webhook_secrets()
    _print("API key", keys, "used")
    _print("webhook secret", secrets, "signed an outcome")


@app.command()
@exit_on_error("nextmq projects rotate")
def rotate(
    name: ProjectName,
    projects: ProjectsFile,
    url: BaseURL = "http://127.0.0.1:7410",
    api_key: t.Annotated[bool, typer.Option("--api-key", help="A new API key, not a new webhook secret.")] = False,
) -> None:
    """Add a new webhook secret or API key, which comes first, and print the new NEXTMQ_URL. The old one stays."""
    base_url = check_base_url(url)
    project = change_project(projects, name, with_new_key if api_key else with_new_secret)
    old = project.key_ids[1] if api_key else project.secrets[1].id
    typer.echo(project.connection_string(base_url))
    typer.echo(
        "1. Send running servers a SIGHUP: they take the new one beside the old one. 2. Deploy the apps with this "
        f"NEXTMQ_URL. 3. Then remove the old one: nextmq projects retire {name} {old}",
        err=True,
    )


@app.command()
@exit_on_error("nextmq projects retire")
@on_event_loop
async def retire(
    name: ProjectName,
    id: t.Annotated[
        str, typer.Argument(help="The id of an API key or webhook secret, as nextmq projects show says.")
    ],
    projects: ProjectsFile,
    redis_url: RedisURL,
    force: t.Annotated[bool, typer.Option("--force", help="Remove it even if it is in use.")] = False,
) -> None:
    """Remove an old API key or webhook secret, unless it is in use."""
    project = find_project(load_projects(projects), name, projects)
    wanted = without(project, id, forced=force)
    if not force:
        async with _credentials(project, redis_url) as credentials:
            await credentials.check(wanted)
            await credentials.check_keys(wanted)
    change_project(projects, name, lambda now: without(now, id, forced=force))
    typer.echo(f"{id} is no longer in {projects}. Send running servers a SIGHUP: they take it no more.", err=True)


@contextlib.asynccontextmanager
async def _credentials(project: Project, redis_url: str) -> t.AsyncGenerator[Credentials]:
    """Read what Redis has about the credentials of `project`. Raises ConfigurationError."""
    address = Address(redis_url)
    redis_keys = await key_names.find_keys(address, project)
    try:
        async with RedisConnection.opened(address, name="nextmq-projects") as connection:
            registry = Registry(connection, redis_keys)
            await registry.load()
            yield Credentials(project, connection, redis_keys, registry)
    except (RedisError, ConnectionLost) as exc:
        raise ConfigurationError(f"cannot read the last uses: Redis answered {exc}") from None


@app.command()
@exit_on_error("nextmq projects move-keys")
@on_event_loop
async def move_keys(
    name: ProjectName,
    projects: ProjectsFile,
    redis_url: RedisURL,
    back: t.Annotated[bool, typer.Option("--back", help="Give them the names of version 0.1 again.")] = False,
) -> None:
    """Rename the Redis keys of a project that version 0.1 has served. Stop all servers on that Redis first."""
    project = find_project(load_projects(projects), name, projects)
    try:
        async with RedisConnection.opened(Address(redis_url), name="nextmq-projects-move-keys") as connection:
            renamed = await key_names.move_keys(connection, project, back=back)
    except (RedisError, ConnectionLost) as exc:
        raise ConfigurationError(f"Redis answered {exc}: run this again, it goes on where it stopped") from None
    typer.echo(f"Renamed {renamed} keys of project {name}.")


def _view(project: Project) -> dict[str, t.Any]:
    return {
        "name": project.name,
        "prefix": project.prefix,
        "apiKeys": [{"id": key.id, "role": key.role.value, "name": key.name} for key in project.keys],
        "webhookSecrets": [{"id": secret.id} for secret in project.secrets],
    }


def _print(what: str, uses: t.Iterable[LastUse], verb: str) -> None:
    for use in uses:
        typer.echo(f"{what} {use.id} {f'last {verb} {moment(use.at)}' if use.at is not None else f'never {verb}'}")
