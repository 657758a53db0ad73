"""`nextmq triggers`: requests that the server sends by a schedule."""

from __future__ import annotations

import typing as t

import typer

from ...rules.log_text import one_line
from ..calls import Json, Server
from ..confirm import confirm
from ..failure import USAGE, CommandFailed
from ..options import AsJson, Url, Yes
from ..output import Cell, duration, moment, print_json, say, table


def triggers(
    id: t.Annotated[str | None, typer.Argument(metavar="TRIGGER", help="Show its runs, or change it.")] = None,
    fire: t.Annotated[bool, typer.Option("--fire", help="Send it now.")] = False,
    pause: t.Annotated[bool, typer.Option("--pause", help="Send it no more until --resume.")] = False,
    resume: t.Annotated[bool, typer.Option("--resume", help="Send it by its schedule again.")] = False,
    remove: t.Annotated[bool, typer.Option("--remove", help="Remove it. Asks.")] = False,
    yes: Yes = False,
    url: Url = None,
    as_json: AsJson = False,
) -> None:
    """Show the triggers and the runs of one, or fire, pause, resume or remove one."""
    server = Server(url)
    action = _action(fire=fire, pause=pause, resume=resume, remove=remove)
    if action is None:
        _show(server, id, as_json)
    elif id is None:
        raise CommandFailed(f"which trigger? nextmq triggers TRIGGER --{action}", USAGE)
    elif action == "remove":
        found = server.get("triggers", id)
        confirm(f"remove trigger {one_line(id)}, which posts to {one_line(found['url'])}", yes=yes)
        _told("Removed", id, server.delete("triggers", id), as_json)
    else:
        verb = {"fire": "Fired", "pause": "Paused", "resume": "Resumed"}[action]
        _told(verb, id, server.post("triggers", id, action), as_json)


def _action(**chosen: bool) -> str | None:
    names = [name for name, is_chosen in chosen.items() if is_chosen]
    if len(names) > 1:
        raise CommandFailed(f"one at a time: --{' or --'.join(names)}", USAGE)
    return names[0] if names else None


def _told(verb: str, id: str, answer: t.Any, as_json: bool) -> None:
    print_json(answer or {}) if as_json else say(f"{verb} trigger {one_line(id)}.")


def _show(server: Server, id: str | None, as_json: bool) -> None:
    heads: tuple[str, ...]
    if id is not None:
        found = server.get("triggers", id, "runs")
        heads, rows = ("when", "attempt", "status", "took", "outcome", "error"), _runs(found["runs"], server.now())
        empty = "It has not run yet."
    else:
        found = server.get("triggers")
        heads, rows = ("id", "name", "next", "last run", "url"), _triggers(found["triggers"], server.now())
        empty = "The project has no trigger."
    if as_json:
        print_json(found)
        return
    shown = list(rows)
    say(*(table(heads, shown) if shown else [empty]))


def _runs(runs: t.Iterable[Json], now: float) -> t.Iterator[list[Cell]]:
    for run in runs:
        style = "ok" if run["outcome"] == "succeeded" else "bad"
        cells: list[Cell] = [moment(run["at"], now), str(run["attempt"]), str(run["status"] or "no answer")]
        yield [*cells, duration(run["durationMs"]), (run["outcome"], style), run["error"] or ""]


def _triggers(found: t.Iterable[Json], now: float) -> t.Iterator[list[Cell]]:
    for one in found:
        last = one["lastRun"]
        next_run: Cell = ("paused", "warn") if one["isPaused"] else moment(one["next"], now)
        ran: Cell = "-"
        if last:
            style = "ok" if last["outcome"] == "succeeded" else "bad"
            ran = (f"{last['outcome']} {moment(last['at'], now)}", style)
        yield [one["id"], one["name"] or "-", next_run, ran, one["url"]]
