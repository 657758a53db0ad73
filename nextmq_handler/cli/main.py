"""The script `nextmq`. A deploy step runs without typer; every other command is loaded when it is called."""

from __future__ import annotations

import os
import sys
import typing as t

from ..errors import NextMQError
from . import deploy
from .commands import COMMANDS, entry_of
from .failure import FOUND, line_of, status_of

_MARK = "nextmq: "


def main(arguments: t.Sequence[str] | None = None) -> None:
    """Run a command. An error prints one line. Ends with exit code 0, 1, 2 or 3."""
    words = list(sys.argv[1:] if arguments is None else arguments)
    if words[:1] == ["--rerun"]:
        words[0] = "redrive"  # what BullMQ's command line calls it
    try:
        _run(words)
    except NextMQError as exc:
        print(f"{_MARK}{line_of(exc)}", file=sys.stderr)  # noqa: T201 - a command's output
        sys.exit(status_of(exc))


def _run(words: list[str]) -> None:
    if deploy.is_step(words):
        deploy.main(words)
        return
    try:
        from typer.main import get_command

        from .typed import app
    except ModuleNotFoundError as exc:
        if exc.name not in ("typer", "click", "rich"):
            raise
        _without_typer(words)
        return
    try:
        get_command(app).main(args=words, prog_name="nextmq")
    except BrokenPipeError:
        # The reader has ended (`nextmq jobs | head`); Python would say so again when it flushes at exit.
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        sys.exit(FOUND)


def _without_typer(words: list[str]) -> None:
    if words and words[0] not in ("--help", "-h"):
        entry = entry_of(words[0])
        extra = "server" if entry is not None and entry.target is None else "cli"
        sys.exit(
            f'{_MARK}this command needs typer: pip install "nextmq-handler[{extra}]". '
            "Without it there are: register, workers replace"
        )
    for section, entries in COMMANDS.items():
        lines = [f"  {entry.name:<12}{entry.help}" for entry in entries]
        print(f"{section}:", *lines, sep="\n", end="\n\n")  # noqa: T201
    print('Only register and workers replace run without the extra "cli" or "server".')  # noqa: T201
