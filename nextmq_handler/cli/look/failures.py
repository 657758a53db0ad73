"""`nextmq failures`: what fails, grouped by its reason."""

from __future__ import annotations

import typing as t

import typer

from ..calls import Json, Server
from ..options import AsJson, Url
from ..output import Cell, count, moment, print_json, say, styled, table


def failures(
    queue: t.Annotated[str | None, typer.Argument(metavar="QUEUE", help="Only of this queue.")] = None,
    name: t.Annotated[str | None, typer.Option("--name", help="Only jobs of this name.")] = None,
    url: Url = None,
    as_json: AsJson = False,
) -> None:
    """Show failed jobs and dead letters, grouped by queue, name and reason, the last failure first."""
    server = Server(url)
    found = server.get("failures", queue=queue, name=name)
    if as_json:
        print_json(found)
        return
    if not found["groups"]:
        say("No failed job.")
        return
    heads = ("jobs", "queue", "name", "first", "last", "status", "for example", "reason")
    say(*table(heads, _rows(found["groups"], server.now()), right=(0,)))
    if found["lookedAt"] < found["total"]:
        say(styled(f"looked at {found['lookedAt']:,} of {count(found['total'], 'failed job')}", "muted"))


def _rows(groups: t.Iterable[Json], now: float) -> t.Iterator[list[Cell]]:
    for group in groups:
        sample = group["sampleIds"][-1] if group["sampleIds"] else "-"
        new = "new: " if group["isNew"] else ""
        yield [
            f"{group['count']:,}",
            group["queue"],
            group["name"],
            moment(group["first"], now),
            moment(group["last"], now),
            str(group["lastStatus"] or "-"),
            sample,
            (f"{new}{group['reason']}", "bad"),
        ]
