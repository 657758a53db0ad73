"""The commands as typer's: the help of the group comes from the table, and a command loads when it is called."""

from __future__ import annotations

import typing as t

import typer
from typer.core import TyperCommand, TyperGroup
from typer.main import get_command

from .._package import __version__
from .commands import COMMANDS, Entry


class _LazyCommand(TyperCommand):
    """A command of the table. It becomes the real one when it is called or completed."""

    def __init__(self, entry: Entry) -> None:
        super().__init__(entry.name, help=entry.help, rich_markup_mode=None)
        self._entry = entry

    def make_context(self, *args: t.Any, **kwargs: t.Any) -> t.Any:
        """Return the context of the real command."""
        return command_of(self._entry.load(), self._entry.name).make_context(*args, **kwargs)


class _CommandGroup(TyperGroup):
    """All commands of the table, by section."""

    def __init__(self, **attrs: t.Any) -> None:
        super().__init__(**attrs)
        for entries in COMMANDS.values():
            for entry in entries:
                self.add_command(_LazyCommand(entry))

    def format_commands(self, ctx: t.Any, formatter: t.Any) -> None:
        """Write each section of the table, as the help of the group."""
        del ctx
        for section, entries in COMMANDS.items():
            with formatter.section(section):
                formatter.write_dl([(entry.name, entry.help) for entry in entries])


def new_app(**options: t.Any) -> typer.Typer:
    """Return an app for a command with commands of its own, in the looks of all."""
    return typer.Typer(add_completion=False, rich_markup_mode=None, **options)


def command_of(made: t.Any, name: str) -> t.Any:
    """Return the command of a Typer or of a function, with plain help."""
    if isinstance(made, typer.Typer):
        found = get_command(made)
        found.name = name
    else:
        single = new_app()
        single.command(name)(made)
        found = get_command(single)
    _make_plain(found)
    return found


def _make_plain(command: t.Any) -> None:
    command.rich_markup_mode = None
    for inner in getattr(command, "commands", {}).values():
        _make_plain(inner)


# A traceback must not show locals: they may hold keys and passwords.
app: typer.Typer = typer.Typer(
    cls=_CommandGroup,
    name="nextmq",
    no_args_is_help=True,
    rich_markup_mode=None,
    pretty_exceptions_enable=False,
    epilog="The server is --url, or else NEXTMQ_URL, or else that of the nextmq dev of this folder.",
)


@app.callback(invoke_without_command=True)
def root(
    version: t.Annotated[bool, typer.Option("--version", help="Print the version and exit.")] = False,
) -> None:
    """BullMQ jobs in serverless Python apps: look at queues, say why a job does not run, change it."""
    if version:
        typer.echo(f"nextmq {__version__}")
        raise typer.Exit
