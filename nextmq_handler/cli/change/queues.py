"""`nextmq pause`, `resume`, `drain`, `clean` and `obliterate`: what happens to whole queues."""

from __future__ import annotations

import typing as t

import typer

from ...rules.log_text import one_line
from ..calls import Json, Server
from ..confirm import confirm
from ..failure import USAGE, CommandFailed
from ..options import AsJson, DryRun, QueueName, Url, Yes
from ..output import count, print_json, say
from ..spans import ms_of

QueueOrAll = t.Annotated[str | None, typer.Argument(metavar="QUEUE", help="The name of a queue.")]
All = t.Annotated[bool, typer.Option("--all", help="All queues of the project.")]

MAX_CLEANED = 1000
"""How many jobs one call of the API cleans."""


def pause(
    queue: QueueOrAll = None,
    every: All = False,
    yes: Yes = False,
    url: Url = None,
    as_json: AsJson = False,
) -> None:
    """Start no more jobs until resume. Running jobs end. Asks."""
    server, path = Server(url), _path(queue, every, "pause")
    confirm(f"start no more jobs of {_named(queue)}, until nextmq resume", yes=yes)
    _told(f"Paused {_named(queue)}", server.post(*path), as_json)


def resume(queue: QueueOrAll = None, every: All = False, url: Url = None, as_json: AsJson = False) -> None:
    """Start jobs again."""
    path = _path(queue, every, "resume")
    _told(f"Resumed {_named(queue)}", Server(url).post(*path), as_json)


def drain(
    queue: QueueName,
    delayed: t.Annotated[bool, typer.Option("--delayed", help="Remove the delayed jobs, too.")] = False,
    dry_run: DryRun = False,
    yes: Yes = False,
    url: Url = None,
    as_json: AsJson = False,
) -> None:
    """Remove the jobs that wait. Running jobs and finished ones stay. Asks."""
    kind = "waiting and delayed job" if delayed else "waiting job"
    body = {"delayed": delayed}
    _destroy(Server(url), queue, "drain", kind, body, dry_run=dry_run, yes=yes, as_json=as_json)


def clean(
    queue: QueueName,
    state: t.Annotated[
        str, typer.Option("--state", help="completed, failed, wait, delayed, prioritized, paused or active.")
    ] = "completed",
    older_than: t.Annotated[str, typer.Option("--older-than", help="Only jobs older than this.")] = "0s",
    dry_run: DryRun = False,
    yes: Yes = False,
    url: Url = None,
    as_json: AsJson = False,
) -> None:
    """Remove old jobs of one state. Asks."""
    server = Server(url)
    body: Json = {"state": state, "grace": ms_of(older_than, "--older-than"), "limit": MAX_CLEANED}
    _destroy(server, queue, "clean", f"{state} job", body, dry_run=dry_run, yes=yes, as_json=as_json)


def obliterate(
    queue: QueueName,
    force: t.Annotated[bool, typer.Option("--force", help="Even if jobs are running.")] = False,
    dry_run: DryRun = False,
    yes: Yes = False,
    url: Url = None,
    as_json: AsJson = False,
) -> None:
    """Remove a queue and all its jobs; its worker stays registered. Asks."""
    body = {"force": force}
    _destroy(Server(url), queue, "obliterate", "job", body, dry_run=dry_run, yes=yes, as_json=as_json)


def _destroy(
    server: Server, queue: str, action: str, kind: str, body: Json, *, dry_run: bool, yes: bool, as_json: bool
) -> None:
    """Say how many jobs it removes, ask, and do it; clean goes on until none is left."""
    path = ("queues", queue, action)
    found = server.post(*path, content=body, dryRun=True)
    matching = found["matching"]
    jobs = count(matching, kind)
    is_whole = action == "obliterate"
    sentence = (
        f"remove queue {_quoted(queue)} with its {jobs}"
        if is_whole
        else f"remove {jobs} of queue {_quoted(queue)}"
    )
    if dry_run:
        _told(f"This would {sentence}", found, as_json)
    elif not matching and not is_whole:
        _told(f"Queue {_quoted(queue)} has no {kind} to remove", {"removed": 0}, as_json)
    else:
        confirm(sentence, yes=yes)
        removed = _removed(server, path, body, matching)
        _told(f"Removed {count(removed, kind)}", {"removed": removed}, as_json)


def _removed(server: Server, path: tuple[str, ...], body: Json, matching: int) -> int:
    if "limit" not in body:
        server.post(*path, content=body)
        return matching
    removed = 0
    while removed < matching:  # what comes meanwhile was not counted, and stays
        part = server.post(*path, content={**body, "limit": min(body["limit"], matching - removed)})["removed"]
        removed += len(part)
        if not part:
            break
    return removed


def _path(queue: str | None, every: bool, action: str) -> tuple[str, ...]:
    if (queue is None) != every:
        raise CommandFailed(f"name a queue, or say --all: nextmq {action} QUEUE", USAGE)
    return (action,) if queue is None else ("queues", queue, action)


def _named(queue: str | None) -> str:
    return "all queues of the project" if queue is None else f"queue {_quoted(queue)}"


def _quoted(queue: str) -> str:
    return f'"{one_line(queue)}"'


def _told(sentence: str, answer: t.Any, as_json: bool) -> None:
    if as_json:
        print_json(answer or {})
    else:
        say(f"{sentence}.")
