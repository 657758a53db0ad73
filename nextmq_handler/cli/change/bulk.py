"""`nextmq bulk`: the changes of many jobs that the server carries out."""

from __future__ import annotations

import typing as t

import typer

from ...rules.log_text import one_line
from ..calls import Json, Server
from ..options import AsJson, Url
from ..output import Cell, moment, print_json, say, table
from .many import followed, lines_of

_STYLES = {"running": "ok", "failed": "bad", "cancelled": "warn"}


def bulk(
    id: t.Annotated[str | None, typer.Argument(metavar="OPERATION", help="Only this one.")] = None,
    cancel: t.Annotated[bool, typer.Option("--cancel", help="Stop it. What is done stays done.")] = False,
    wait: t.Annotated[bool, typer.Option("--wait", help="Wait until it ends.")] = False,
    url: Url = None,
    as_json: AsJson = False,
) -> None:
    """Show the changes of many jobs, wait for one, or cancel one.

    retry, promote, remove and redrive start them.
    """
    server = Server(url)
    if id is None:
        found = server.get("bulk")
        if as_json:
            print_json(found)
        elif not found["operations"]:
            say("Nobody has changed many jobs.")
        else:
            heads = ("id", "action", "queue", "state", "done", "of", "begun", "by", "filter")
            say(*table(heads, _rows(found["operations"], server.now()), right=(4, 5)))
        return
    if cancel:
        server.post("bulk", id, "cancel")
    operation = server.get("bulk", id)
    if wait:
        operation = followed(server, operation)
    if as_json:
        print_json(operation)
    else:
        say(f"{operation['action']} in queue {one_line(operation['queue'])}", *lines_of(operation))


def _rows(found: t.Iterable[Json], now: float) -> t.Iterator[list[Cell]]:
    for one in found:
        cells: list[Cell] = [
            one["id"],
            one["action"],
            one["queue"],
            (one["state"], _STYLES.get(one["state"], "muted")),
        ]
        cells += [f"{one['done']:,}", f"{one['matching'] or 0:,}", moment(one["createdAt"], now)]
        yield [*cells, _by(one["by"]), one["filter"] or "ids"]


def _by(by: t.Any) -> str:
    if not isinstance(by, dict):
        return str(by or "-")
    who = t.cast("Json", by)
    return str(who.get("name") or who.get("id") or "-")
