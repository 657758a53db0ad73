"""What the commands share: options, the event loop, how an error ends a command."""

from __future__ import annotations

import asyncio
import contextlib
import functools
import sys
import typing as t
from pathlib import Path

import typer

from nextmq_handler.errors import ConfigurationError
from nextmq_handler.rules.limits import MAX_WORKER_MS

P = t.ParamSpec("P")

ProjectsFile = t.Annotated[
    Path, typer.Option(envvar="NEXTMQ_PROJECTS_FILE", dir_okay=False, help="The JSON file with the projects.")
]
RedisURL = t.Annotated[
    str, typer.Option(envvar="NEXTMQ_REDIS_URL", help="The Redis (6.2 or newer) or Valkey that keeps the jobs.")
]
Port = t.Annotated[int, typer.Option(min=0, max=65535, help="The port; 0 picks a free one.")]
AllowEgress = t.Annotated[
    list[str] | None,
    typer.Option(metavar="CIDR", help="Also deliver to this network, for example 10.0.0.0/8. May be repeated."),
]
TrustedProxy = t.Annotated[
    list[str] | None,
    typer.Option(
        metavar="CIDR",
        help="Take the caller's address from the x-forwarded-for of proxies in this network. May be repeated.",
    ),
]
WithDashboard = t.Annotated[
    bool, typer.Option("--dashboard/--no-dashboard", help="Serve the dashboard at /dashboard.")
]
MaxFreeStarts = t.Annotated[
    int, typer.Option(min=1, help="Fail a job (TooManyStarts) after this many starts that used no attempt.")
]

MaxTimeout = t.Annotated[
    float,
    typer.Option(min=1, max=MAX_WORKER_MS / 1000, help="The longest timeout of a worker, in seconds."),
]


@contextlib.contextmanager
def exit_on_error(command: str, *, status: int = 1) -> t.Generator[None]:
    """Print a ConfigurationError and exit with `status`. Decorates a command, too."""
    try:
        yield
    except ConfigurationError as exc:
        typer.echo(f"{command}: {exc}", err=True)
        raise typer.Exit(status) from None


def on_event_loop(command: t.Callable[P, t.Coroutine[t.Any, t.Any, None]]) -> t.Callable[P, None]:
    """Make a command of a coroutine function. It runs on uvloop, which does not exist for every platform."""

    @functools.wraps(command)
    def run(*args: P.args, **kwargs: P.kwargs) -> None:
        new_event_loop: t.Callable[[], asyncio.AbstractEventLoop] | None = None
        if sys.platform != "win32":
            with contextlib.suppress(ImportError):
                import uvloop

                new_event_loop = uvloop.new_event_loop
        with asyncio.Runner(loop_factory=new_event_loop) as runner:
            runner.run(command(*args, **kwargs))

    return run
