"""The command line: `nextmq dev`, `nextmq serve`, `nextmq projects`, `nextmq conformance`."""

from __future__ import annotations

import asyncio
import contextlib
import sys
import typing as t
from enum import StrEnum
from pathlib import Path

import typer

from nextmq_handler._version import __version__
from nextmq_handler.errors import ConfigurationError

from ..dispatch.dispatcher import MAX_FREE_STARTS
from ..engine.worker.slots import MAX_IN_FLIGHT
from ..projects.projects_file import add_project, check_base_url
from .conformance import conformance
from .dev import DevOptions, DevServer
from .projects import show_project
from .serve import ServeOptions, Server

_HELP = """The NextMQ queue server.

Where the app is installed there are also: nextmq register module:handler, nextmq workers replace module:handler.
"""

app = typer.Typer(
    add_completion=False,
    no_args_is_help=True,
    pretty_exceptions_show_locals=False,  # --redis-url may hold a password
    help=_HELP,
)
projects_app = typer.Typer(no_args_is_help=True, help="The projects that nextmq serve serves.")
app.add_typer(projects_app, name="projects")
app.command()(conformance)

ProjectsFile = t.Annotated[
    Path, typer.Option(envvar="NEXTMQ_PROJECTS_FILE", dir_okay=False, help="The JSON file with the projects.")
]

RedisURL = t.Annotated[
    str, typer.Option(envvar="NEXTMQ_REDIS_URL", help="The Redis 6.2 or newer, or Valkey, that keeps the jobs.")
]

AllowEgress = t.Annotated[
    list[str] | None,
    typer.Option(metavar="CIDR", help="Deliver to this network too, like 10.0.0.0/8. May be repeated."),
]

MaxFreeStarts = t.Annotated[
    int, typer.Option(min=1, help="Starts that burn no attempt, after which a job fails: TooManyStarts.")
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
    host: t.Annotated[str, typer.Option(help="A loopback address: it speaks plain HTTP.")] = "127.0.0.1",
    port: t.Annotated[int, typer.Option(min=0, max=65535, help="0 takes a free one.")] = 7410,
    data_dir: t.Annotated[Path, typer.Option(help="Where jobs, key and secret are kept.")] = Path(".nextmq"),
    fsync: t.Annotated[FsyncPolicy, typer.Option(help="How the embedded Valkey flushes.")] = FsyncPolicy.everysec,
    redis_url: t.Annotated[str | None, typer.Option(help="Use this Redis or Valkey instead.")] = None,
    app_url: t.Annotated[
        str | None,
        typer.Option("--app", help="An app's NEXTMQ_APP_URL: polls its /health, so it registers."),
    ] = None,
    grace: t.Annotated[float, typer.Option(min=0, help="Seconds for deliveries in flight on Ctrl-C.")] = 30.0,
    allow_egress: AllowEgress = None,
    max_free_starts: MaxFreeStarts = MAX_FREE_STARTS,
) -> None:
    """Embedded Valkey, REST API and dispatcher in one process. Ctrl-C drains."""
    allowed = tuple(allow_egress or ())
    options = DevOptions(host, port, data_dir, fsync.value, redis_url, app_url, grace, allowed, max_free_starts)
    with _errors_told("nextmq dev"), asyncio.Runner(loop_factory=_new_event_loop()) as runner:
        runner.run(DevServer(options).run())


@app.command()
def serve(
    projects: ProjectsFile,
    redis_url: RedisURL,
    host: t.Annotated[
        str, typer.Option(help="It speaks plain HTTP: end TLS in a proxy before another address.")
    ] = "127.0.0.1",
    port: t.Annotated[int, typer.Option(min=0, max=65535, help="0 takes a free one.")] = 7410,
    grace: t.Annotated[float, typer.Option(min=0, help="Seconds for deliveries in flight on SIGTERM.")] = 30.0,
    allow_egress: AllowEgress = None,
    max_in_flight: t.Annotated[
        int, typer.Option(min=1, help="Deliveries that this process has in flight at once.")
    ] = MAX_IN_FLIGHT,
    max_per_origin: t.Annotated[
        int | None, typer.Option(min=1, help="Of these, to one scheme, host and port; unbounded unless given.")
    ] = None,
    max_free_starts: MaxFreeStarts = MAX_FREE_STARTS,
) -> None:
    """REST API and dispatcher on a Redis or Valkey of yours; several may share it. SIGTERM drains."""
    allowed = tuple(allow_egress or ())
    options = ServeOptions(
        host, port, redis_url, projects, grace, allowed, max_in_flight, max_per_origin, max_free_starts
    )
    with _errors_told("nextmq serve"), asyncio.Runner(loop_factory=_new_event_loop()) as runner:
        runner.run(Server(options).run())


@projects_app.command()
def add(
    name: t.Annotated[str, typer.Argument(help="A-Z a-z 0-9 . _ ~ -")],
    projects: ProjectsFile,
    url: t.Annotated[str, typer.Option(help="Where apps reach the server.")] = "http://127.0.0.1:7410",
    prefix: t.Annotated[
        str | None, typer.Option(help="BullMQ's, NAME unless given; its own clients use bull.")
    ] = None,
) -> None:
    """Make a project, and print its NEXTMQ_URL. Running servers take it on SIGHUP."""
    with _errors_told("nextmq projects add"):
        base_url = check_base_url(url)
        typer.echo(add_project(projects, name, prefix=prefix or name).connection_string(base_url))
        typer.echo(f"Key and secret are in {projects} too. Running servers take them on SIGHUP.", err=True)


@projects_app.command()
def show(
    name: t.Annotated[str, typer.Argument(help="A project of the file.")],
    projects: ProjectsFile,
    redis_url: RedisURL,
) -> None:
    """Tell by their ids when each API key was last used, and each webhook secret last signed an outcome."""
    with _errors_told("nextmq projects show"):
        for line in asyncio.run(show_project(projects, name, redis_url)):
            typer.echo(line)


@contextlib.contextmanager
def _errors_told(command: str) -> t.Generator[None]:
    try:
        yield
    except ConfigurationError as exc:
        typer.echo(f"{command}: {exc}", err=True)
        raise typer.Exit(1) from None


def _new_event_loop() -> t.Callable[[], asyncio.AbstractEventLoop] | None:
    if sys.platform == "win32":
        return None
    try:
        import uvloop
    except ImportError:  # not on every Python
        return None
    return uvloop.new_event_loop
