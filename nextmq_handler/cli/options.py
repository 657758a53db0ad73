"""The options and arguments that commands share."""

from __future__ import annotations

import typing as t

import typer

Url = t.Annotated[
    str | None,
    typer.Option(
        "--url",
        metavar="NEXTMQ_URL",
        help="The server's connection string. Default: NEXTMQ_URL, or that of nextmq dev in this folder.",
        show_default=False,
    ),
]
AsJson = t.Annotated[bool, typer.Option("--json", help="Print JSON, with exact times.")]
Yes = t.Annotated[bool, typer.Option("--yes", "-y", help="Do not ask. Needed if there is no terminal to ask on.")]
DryRun = t.Annotated[bool, typer.Option("--dry-run", help="Only say how many jobs it would change.")]
QueueName = t.Annotated[str, typer.Argument(metavar="QUEUE", help="The name of a queue.", show_default=False)]
Ids = t.Annotated[list[str] | None, typer.Argument(metavar="JOB", help="The ids of jobs.", show_default=False)]
