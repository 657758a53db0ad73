"""`nextmq schedulers` and `nextmq run-now`: jobs that repeat."""

from __future__ import annotations

import typing as t

import typer

from ...rules.log_text import one_line
from ..calls import Json, Server
from ..confirm import confirm
from ..failure import USAGE, CommandFailed
from ..options import AsJson, QueueName, Url, Yes
from ..output import Cell, duration, moment, print_json, say, table

SchedulerId = t.Annotated[str, typer.Argument(metavar="SCHEDULER", help="Its id.", show_default=False)]


def schedulers(
    queue: QueueName,
    id: t.Annotated[str | None, typer.Argument(metavar="SCHEDULER", help="Only this one.")] = None,
    remove: t.Annotated[bool, typer.Option("--remove", help="Remove it, and its next job. Asks.")] = False,
    yes: Yes = False,
    url: Url = None,
    as_json: AsJson = False,
) -> None:
    """Show the job schedulers of a queue, or remove one."""
    server = Server(url)
    if remove:
        if id is None:
            raise CommandFailed(f"which scheduler? nextmq schedulers {queue} SCHEDULER --remove", USAGE)
        server.get("queues", queue, "schedulers", id)  # a 404 before the question
        confirm(f'remove scheduler {one_line(id)} of queue "{one_line(queue)}" and its next job', yes=yes)
        answer = server.delete("queues", queue, "schedulers", id)
        print_json(answer) if as_json else say(f"Removed scheduler {one_line(id)}.")
        return
    if id is not None:
        found = [server.get("queues", queue, "schedulers", id)]
    else:
        found = [one for page in server.pages("queues", queue, "schedulers") for one in page["schedulers"]]
    if as_json:
        print_json({"schedulers": found})
    elif not found:
        say(f'Queue "{one_line(queue)}" has no job scheduler.')
    else:
        heads = ("id", "job", "repeats", "next", "last run", "runs", "")
        say(*table(heads, _rows(found, server.now()), right=(5,)))


def run_now(queue: QueueName, id: SchedulerId, url: Url = None, as_json: AsJson = False) -> None:
    """Add a scheduler's job now, beside its schedule, and print its id."""
    answer = Server(url).post("queues", queue, "schedulers", id, "run")
    print_json(answer) if as_json else say(str(answer["job"]["id"]))


def _rows(found: t.Iterable[Json], now: float) -> t.Iterator[list[Cell]]:
    for one in found:
        last, late = one.get("last"), one.get("overdueBy")
        repeats = f"every {duration(one['every'])}" if one["every"] else f"{one['pattern']} {one['tz'] or 'UTC'}"
        ran = "-" if not last else f"{last['state']} {moment(last['finishedOn'], now)}"
        cells: list[Cell] = [one["id"], one["name"], repeats, moment(one["next"], now), ran]
        yield [*cells, f"{one['iterationCount']:,}", (f"overdue by {duration(late)}" if late else "", "bad")]
