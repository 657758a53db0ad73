"""Change many jobs: count them, ask, start the operation, and show how far it is."""

from __future__ import annotations

import sys
import typing as t

import typer

from ... import _overrides
from ...rules.log_text import one_line
from ..calls import Json, Server
from ..confirm import confirm
from ..failure import FOUND
from ..output import count, print_json, say

LOOK_EVERY = 0.5
"""How often, in s, the progress of an operation is asked for."""

_RUNNING = "running"
_ERASE = "\r\x1b[2K"


class Change(t.NamedTuple):
    """A change of jobs: the action of the API, the verb for people, and how the user wants it done."""

    action: str
    verb: str
    dry_run: bool
    yes: bool
    as_json: bool
    options: Json | None = None
    per_second: int | None = None


def change_many(server: Server, queue: str, change: Change, which: Json) -> None:
    """Change the jobs of `which`, ids or a filter, as an operation of the server. Raises typer.Exit."""
    body: Json = {"action": change.action, "queue": queue, **which, "options": change.options or {}}
    if change.per_second is not None:
        body["perSecond"] = change.per_second
    found = server.post("bulk", content=body, dryRun=True)
    if change.dry_run and change.as_json:
        print_json(found)
        return
    sentence = f'{change.verb} {_number(found)} of queue "{one_line(queue)}"'
    if change.dry_run or not found["matching"]:
        say(f"This would {sentence}." if found["matching"] else f'No such job in queue "{one_line(queue)}".')
        return
    confirm(sentence, yes=change.yes)
    started = server.post("bulk", content=body)
    ended = followed(server, started)
    if change.as_json:
        print_json(ended)
    else:
        say(*lines_of(ended))
    if ended["state"] != "done":
        raise typer.Exit(FOUND)


def followed(server: Server, operation: Json) -> Json:
    """Wait until an operation ends. Ctrl-C leaves it to the server, and says how to cancel it."""
    try:
        while operation["state"] == _RUNNING:
            _show(operation)
            _overrides.sleep(LOOK_EVERY)
            operation = server.get("bulk", operation["id"])
    except KeyboardInterrupt:
        _hide()
        typer.echo(f"The server goes on. Stop it: nextmq bulk {operation['id']} --cancel", err=True)
        raise typer.Exit(FOUND) from None
    _hide()
    return operation


def lines_of(operation: Json) -> list[str]:
    """Return what an operation did, and what it left alone, with the reasons."""
    skipped: dict[str, int] = operation["skipped"] or {}
    lines = [f"{operation['state']}: {operation['done']:,} of {count(operation['matching'] or 0, 'job')}"]
    lines += [f"  skipped {number:,}: {one_line(reason)}" for reason, number in skipped.items()]
    return [*lines, f"  operation {operation['id']}"] if operation["state"] != "done" else lines


def _number(found: Json) -> str:
    matching = count(found["matching"], "job")
    if found.get("isComplete", True):
        return matching
    return f"at least {matching} (looked at {found['lookedAt']:,} of {found['total']:,})"


def _show(operation: Json) -> None:
    if sys.stderr.isatty():
        done = f"{operation['done']:,} of {count(operation['matching'] or 0, 'job')}"
        typer.echo(f"{_ERASE}{done} … Ctrl-C leaves it to the server", err=True, nl=False)


def _hide() -> None:
    if sys.stderr.isatty():
        typer.echo(_ERASE, err=True, nl=False)
