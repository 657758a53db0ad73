"""The command line: `nextmq dev`, `nextmq serve`, `nextmq projects`, `nextmq conformance`."""

from __future__ import annotations

import typing as t

import typer

from nextmq_handler._package import __version__

from . import projects
from .conformance import conformance
from .dev import dev
from .serve import serve

app = typer.Typer(
    add_completion=False,
    no_args_is_help=True,
    pretty_exceptions_show_locals=False,  # --redis-url may hold a password
)
for command in (conformance, dev, serve):
    app.command()(command)
app.add_typer(projects.app, name="projects")


@app.callback(invoke_without_command=True)
def root(
    version: t.Annotated[bool, typer.Option("--version", help="Print the version and exit.")] = False,
) -> None:
    """The NextMQ queue server.

    In your app's environment there are also: nextmq register module:handler, nextmq workers replace
    module:handler.
    """  # noqa: D401 - the help of the command line
    if version:
        typer.echo(f"nextmq {__version__}")
        raise typer.Exit
