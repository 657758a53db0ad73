"""`nextmq retry`, `promote`, `remove` and `redrive`: jobs by their ids or by a filter."""

from __future__ import annotations

import typing as t

import typer

from ...rules.log_text import one_line
from ..calls import Json, Server
from ..confirm import confirm
from ..failure import USAGE, CommandFailed
from ..filters import Filter, Name, Search, Since, State, check_either, filter_of
from ..options import AsJson, DryRun, Ids, QueueName, Url, Yes
from ..output import count, print_json, say
from .content import read_json
from .many import Change, change_many

PerSecond = t.Annotated[int | None, typer.Option("--per-second", min=1, help="Change at most so many a second.")]

MAX_REDRIVEN = 1000
"""How many dead letters one call of the API redrives."""


def retry(
    queue: QueueName,
    ids: Ids = None,
    state: State = None,
    name: Name = None,
    search: Search = None,
    since: Since = None,
    filter: Filter = None,
    reset_attempts: t.Annotated[
        bool, typer.Option("--reset-attempts", help="Give it all its attempts again, not one more.")
    ] = False,
    data: t.Annotated[
        str | None, typer.Option("--data", help="New data for the one job: JSON, @FILE or -.")
    ] = None,
    per_second: PerSecond = None,
    dry_run: DryRun = False,
    yes: Yes = False,
    url: Url = None,
    as_json: AsJson = False,
) -> None:
    """Run jobs again: those with these ids, those of a filter, or all that failed. One id does not ask."""
    wanted = _filter(ids, state, name, search, since, filter)
    server = Server(url)
    if data is not None and len(ids or ()) != 1:
        raise CommandFailed("--data takes exactly one job: nextmq retry QUEUE JOB --data JSON", USAGE)
    if ids and len(ids) == 1 and not dry_run:
        ended_in = state or server.get("queues", queue, "jobs", ids[0])["state"]
        body: Json = {"state": "completed" if ended_in == "completed" else "failed"}
        if reset_attempts:
            body |= {"resetAttemptsMade": True, "resetAttemptsStarted": True}
        if data is not None:
            body["data"] = read_json(data, "--data")
        answer = server.post("queues", queue, "jobs", ids[0], "retry", content=body)
        _done(f'Job {ids[0]} of queue "{queue}" runs again', answer, as_json)
        return
    change = Change("retry", "run again", dry_run, yes, as_json, {"resetAttempts": reset_attempts}, per_second)
    change_many(server, queue, change, {"ids": ids} if ids else {"filter": wanted or "state:failed"})


def promote(
    queue: QueueName,
    ids: Ids = None,
    name: Name = None,
    search: Search = None,
    since: Since = None,
    filter: Filter = None,
    per_second: PerSecond = None,
    dry_run: DryRun = False,
    yes: Yes = False,
    url: Url = None,
    as_json: AsJson = False,
) -> None:
    """Start delayed jobs now: those with these ids, those of a filter, or all. One id does not ask."""
    wanted = _filter(ids, None, name, search, since, filter)
    server = Server(url)
    if ids and len(ids) == 1 and not dry_run:
        answer = server.post("queues", queue, "jobs", ids[0], "promote")
        _done(f'Job {ids[0]} of queue "{queue}" waits for no delay any more', answer, as_json)
        return
    change = Change("promote", "start", dry_run, yes, as_json, per_second=per_second)
    delayed = " ".join(["state:delayed", wanted]).strip()
    change_many(server, queue, change, {"ids": ids} if ids else {"filter": delayed})


def remove(
    queue: QueueName,
    ids: Ids = None,
    state: State = None,
    name: Name = None,
    search: Search = None,
    since: Since = None,
    filter: Filter = None,
    per_second: PerSecond = None,
    dry_run: DryRun = False,
    yes: Yes = False,
    url: Url = None,
    as_json: AsJson = False,
) -> None:
    """Remove jobs: those with these ids, or those of a filter. Asks."""
    wanted = _filter(ids, state, name, search, since, filter)
    if not ids and not wanted:
        raise CommandFailed(
            "which jobs? Name them, or give a filter such as --state completed; all of them: nextmq obliterate",
            USAGE,
        )
    server = Server(url)
    if ids and len(ids) == 1 and not dry_run:
        server.get("queues", queue, "jobs", ids[0])  # a 404 before the question
        confirm(f'remove job {one_line(ids[0])} of queue "{one_line(queue)}"', yes=yes)
        _done(f"Removed job {ids[0]}", server.delete("queues", queue, "jobs", ids[0]), as_json)
        return
    change = Change("remove", "remove", dry_run, yes, as_json, per_second=per_second)
    change_many(server, queue, change, {"ids": ids} if ids else {"filter": wanted})


def redrive(
    queue: t.Annotated[str, typer.Argument(metavar="QUEUE", help="The queue that got the dead letters.")],
    ids: Ids = None,
    name: Name = None,
    reason: t.Annotated[
        str | None, typer.Option("--reason", help="Only those that failed for this reason.")
    ] = None,
    limit: t.Annotated[int, typer.Option(min=1, max=MAX_REDRIVEN, help="At most so many.")] = MAX_REDRIVEN,
    dry_run: DryRun = False,
    yes: Yes = False,
    url: Url = None,
    as_json: AsJson = False,
) -> None:
    """Move dead letters back to the queue that they failed in, with all their attempts. Asks."""
    given: Json = {"ids": ids or None, "name": name, "reason": reason, "limit": limit}
    body = {key: value for key, value in given.items() if value is not None}
    server = Server(url)
    found = server.post("queues", queue, "redrive", content=body, dryRun=True)
    sentence = f'redrive {count(found["matching"], "dead letter")} of queue "{one_line(queue)}"'
    if dry_run and as_json:
        print_json(found)
    elif dry_run or not found["matching"]:
        say(
            f"This would {sentence}."
            if found["matching"]
            else f'No such dead letter in queue "{one_line(queue)}".'
        )
    else:
        confirm(sentence, yes=yes)
        answer = server.post("queues", queue, "redrive", content=body)
        redriven: t.Any = answer["redriven"]
        number = len(redriven) if isinstance(redriven, list) else redriven  # pyright: ignore[reportUnknownArgumentType]
        _done(f"Redrove {count(int(number), 'dead letter')}", answer, as_json)


def _filter(
    ids: t.Sequence[str] | None,
    state: str | None,
    name: str | None,
    search: str | None,
    since: str | None,
    filter: str | None,
) -> str:
    wanted = filter_of(state, name, search, since, filter)
    check_either(ids, filter_of(None, name, search, since, filter))
    return wanted


def _done(told: str, answer: t.Any, as_json: bool) -> None:
    if as_json:
        print_json(answer or {})
    else:
        say(f"{one_line(told)}.")
