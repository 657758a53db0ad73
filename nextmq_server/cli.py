"""The command line: `nextmq dev`."""

from __future__ import annotations

import asyncio
import sys
import typing as t
from enum import StrEnum
from pathlib import Path

import typer

from nextmq_handler._version import __version__
from nextmq_handler.errors import ConfigurationError

from .dev import DevOptions, DevServer

_HELP = """The NextMQ queue server.

Where the app is installed there are also: nextmq register module:handler, nextmq workers replace module:handler.
"""

app = typer.Typer(
    add_completion=False,
    no_args_is_help=True,
    pretty_exceptions_show_locals=False,  # --redis-url may hold a password
    help=_HELP,
)


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
) -> None:
    """Embedded Valkey, REST API and dispatcher in one process. Ctrl-C drains."""
    options = DevOptions(host, port, data_dir, fsync.value, redis_url, app_url, grace)
    try:
        with asyncio.Runner(loop_factory=_new_event_loop()) as runner:
            runner.run(DevServer(options).run())
    except ConfigurationError as exc:
        typer.echo(f"nextmq dev: {exc}", err=True)
        raise typer.Exit(1) from None


def _new_event_loop() -> t.Callable[[], asyncio.AbstractEventLoop] | None:
    if sys.platform == "win32":
        return None
    try:
        import uvloop
    except ImportError:  # not on every Python
        return None
    return uvloop.new_event_loop
