"""The command line: `nextmq dev`, `nextmq serve`, `nextmq projects`, `nextmq conformance`."""

from __future__ import annotations

import asyncio
import contextlib
import sys
import typing as t
from enum import StrEnum
from pathlib import Path

import typer

from nextmq_handler._package import __version__
from nextmq_handler.errors import ConfigurationError
from nextmq_handler.rules.attempts import MAX_FREE_STARTS

from ..engine.worker.slots import MAX_IN_FLIGHT
from ..projects.projects_file import add_project, check_base_url
from .conformance import conformance
from .dev import DevServer
from .projects import show_project
from .serve import ServeServer

_HELP = """The NextMQ queue server.

In your app's environment there are also: nextmq register module:handler, nextmq workers replace module:handler.
"""

app = typer.Typer(
    add_completion=False,
    no_args_is_help=True,
    pretty_exceptions_show_locals=False,  # --redis-url may hold a password
    help=_HELP,
)
projects_app = typer.Typer(no_args_is_help=True, help="Manage the projects file of nextmq serve.")
app.add_typer(projects_app, name="projects")
app.command()(conformance)

ProjectsFile = t.Annotated[
    Path, typer.Option(envvar="NEXTMQ_PROJECTS_FILE", dir_okay=False, help="The JSON file with the projects.")
]

RedisURL = t.Annotated[
    str, typer.Option(envvar="NEXTMQ_REDIS_URL", help="The Redis (6.2 or newer) or Valkey that keeps the jobs.")
]

AllowEgress = t.Annotated[
    list[str] | None,
    typer.Option(metavar="CIDR", help="Also deliver to this network, for example 10.0.0.0/8. May be repeated."),
]

MaxFreeStarts = t.Annotated[
    int, typer.Option(min=1, help="Fail a job (TooManyStarts) after this many starts that used no attempt.")
]


class FsyncPolicy(StrEnum):
    """When the embedded Valkey flushes its append-only file."""

    always = "always"
    everysec = "everysec"
    no = "no"


@app.callback(invoke_without_command=True, help=_HELP)
def root(
    version: t.Annotated[bool, typer.Option("--version", help="Print the version and exit.")] = False,
) -> None:
    if version:
        typer.echo(f"nextmq {__version__}")
        raise typer.Exit


@app.command()
def dev(
    host: t.Annotated[str, typer.Option(help="A loopback address: the server speaks plain HTTP.")] = "127.0.0.1",
    port: t.Annotated[int, typer.Option(min=0, max=65535, help="The port; 0 picks a free one.")] = 7410,
    data_dir: t.Annotated[Path, typer.Option(help="The folder for jobs, key and secret.")] = Path(".nextmq"),
    fsync: t.Annotated[
        FsyncPolicy, typer.Option(help="When the embedded Valkey flushes to disk.")
    ] = FsyncPolicy.everysec,
    redis_url: t.Annotated[
        str | None, typer.Option(help="Use this Redis or Valkey instead of the embedded one.")
    ] = None,
    app_url: t.Annotated[
        str | None,
        typer.Option("--app", help="Poll the /health of the app at this NEXTMQ_APP_URL, so that it registers."),
    ] = None,
    grace: t.Annotated[float, typer.Option(min=0, help="Seconds for deliveries in flight on Ctrl-C.")] = 30.0,
    allow_egress: AllowEgress = None,
    max_free_starts: MaxFreeStarts = MAX_FREE_STARTS,
) -> None:
    """Run a development server: embedded Valkey, API and dispatcher in one process. Ctrl-C shuts it down."""
    allowed = tuple(allow_egress or ())
    server = DevServer(host, port, data_dir, fsync.value, redis_url, app_url, grace, allowed, max_free_starts)
    with _exit_on_error("nextmq dev"):
        _run(server.run())


@app.command()
def serve(
    projects: ProjectsFile,
    redis_url: RedisURL,
    host: t.Annotated[
        str,
        typer.Option(help="The address. The server speaks plain HTTP: put a TLS proxy in front of a public one."),
    ] = "127.0.0.1",
    port: t.Annotated[int, typer.Option(min=0, max=65535, help="The port; 0 picks a free one.")] = 7410,
    grace: t.Annotated[float, typer.Option(min=0, help="Seconds for deliveries in flight on SIGTERM.")] = 30.0,
    allow_egress: AllowEgress = None,
    max_in_flight: t.Annotated[
        int, typer.Option(min=1, help="The most deliveries in flight at once in this process.")
    ] = MAX_IN_FLIGHT,
    max_per_origin: t.Annotated[
        int | None,
        typer.Option(min=1, help="The most of these to one scheme, host and port. Default: no bound."),
    ] = None,
    max_free_starts: MaxFreeStarts = MAX_FREE_STARTS,
) -> None:
    """Run the API and dispatcher on your Redis or Valkey; several servers may share it. SIGTERM shuts it down."""
    allowed = tuple(allow_egress or ())
    with _exit_on_error("nextmq serve"):
        server = ServeServer(
            host, port, redis_url, projects, grace, allowed, max_in_flight, max_per_origin, max_free_starts
        )
        _run(server.run())


@projects_app.command()
def add(
    name: t.Annotated[str, typer.Argument(help="The project's name: A-Z a-z 0-9 . _ ~ -")],
    projects: ProjectsFile,
    url: t.Annotated[str, typer.Option(help="The URL at which apps reach the server.")] = "http://127.0.0.1:7410",
    prefix: t.Annotated[
        str | None, typer.Option(help="The BullMQ key prefix. Default: NAME. BullMQ's own clients use bull.")
    ] = None,
) -> None:
    """Create a project and print its NEXTMQ_URL. Send running servers a SIGHUP to serve it."""
    with _exit_on_error("nextmq projects add"):
        base_url = check_base_url(url)
        typer.echo(add_project(projects, name, prefix=prefix or name).connection_string(base_url))
        typer.echo(
            f"{projects} holds the key and the secret too. Send running servers a SIGHUP to serve the project.",
            err=True,
        )


@projects_app.command()
def show(
    name: t.Annotated[str, typer.Argument(help="The name of a project in the file.")],
    projects: ProjectsFile,
    redis_url: RedisURL,
) -> None:
    """Show when each API key was last used and when each webhook secret last signed an outcome, by their ids."""
    with _exit_on_error("nextmq projects show"):
        for line in asyncio.run(show_project(projects, name, redis_url)):
            typer.echo(line)


@contextlib.contextmanager
def _exit_on_error(command: str) -> t.Generator[None]:
    try:
        yield
    except ConfigurationError as exc:
        typer.echo(f"{command}: {exc}", err=True)
        raise typer.Exit(1) from None


def _run(server: t.Coroutine[t.Any, t.Any, None]) -> None:
    """Run a server, on uvloop if it is installed: it does not exist for every platform."""
    new_event_loop: t.Callable[[], asyncio.AbstractEventLoop] | None = None
    if sys.platform != "win32":
        with contextlib.suppress(ImportError):
            import uvloop

            new_event_loop = uvloop.new_event_loop
    with asyncio.Runner(loop_factory=new_event_loop) as runner:
        runner.run(server)
