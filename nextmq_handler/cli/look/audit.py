"""`nextmq audit`: who changed what."""

from __future__ import annotations

import typing as t

import typer

from ..calls import Json, Server
from ..options import AsJson, Url
from ..output import Cell, moment, print_json, say, table


def audit(
    who: t.Annotated[str | None, typer.Option("--who", help="Only changes of this key, by id or name.")] = None,
    action: t.Annotated[str | None, typer.Option("--action", help="Only this action, such as retry.")] = None,
    queue: t.Annotated[str | None, typer.Option("--queue", help="Only changes of this queue.")] = None,
    limit: t.Annotated[int, typer.Option(min=1, max=1000, help="How many changes to show.")] = 20,
    url: Url = None,
    as_json: AsJson = False,
) -> None:
    """Show who changed what, the newest first."""
    server = Server(url)
    found = server.get("audit", who=who, action=action, queue=queue, limit=limit)
    if as_json:
        print_json(found)
    elif not found["entries"]:
        say("No change is recorded.")
    else:
        heads = ("when", "who", "role", "action", "queue", "jobs", "outcome", "what")
        say(*table(heads, _rows(found["entries"], server.now()), right=(5,)))


def _rows(entries: t.Iterable[Json], now: float) -> t.Iterator[list[Cell]]:
    for entry in entries:
        who, outcome = entry["who"], str(entry["outcome"] or "begun")
        jobs = "-" if entry["count"] is None else f"{entry['count']:,}"
        what = entry["filter"] or " ".join(map(str, entry["ids"] or []))
        name = who.get("name") or who.get("id") or who.get("kind", "-")
        style = "ok" if outcome in ("done", "ok") else "warn"
        cells: list[Cell] = [moment(entry["at"], now), name, who.get("role") or "-", entry["action"]]
        yield [*cells, entry["queue"] or "-", jobs, (outcome, style), what]
