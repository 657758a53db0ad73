"""`nextmq jobs`: the jobs of a queue, by state or by a search."""

from __future__ import annotations

import typing as t

import typer

from ...protocol import strict_json
from ...rules.search.redaction import Redaction
from ...rules.states import STATES
from ..calls import Json, Server
from ..filters import Filter, Name, Search, Since, State, filter_of
from ..options import AsJson, QueueName, Url
from ..output import Cell, count, moment, print_json, say, styled, table

STYLES = {"failed": "bad", "delayed": "warn", "active": "ok", "completed": "muted"}
"""The style of each state of a job."""

MAX_JOBS = 1000
"""The most jobs that are listed."""

MAX_TOLD = 300
"""How many characters of an error or of data a line has."""

PAGE = 200
"""How many jobs a call of a search asks for."""


def jobs(
    queue: QueueName,
    state: State = None,
    name: Name = None,
    search: Search = None,
    since: Since = None,
    filter: Filter = None,
    limit: t.Annotated[int, typer.Option(min=1, max=MAX_JOBS, help="How many jobs to list.")] = 20,
    url: Url = None,
    as_json: AsJson = False,
) -> None:
    """List jobs of a queue, the newest of each state first."""
    server = Server(url)
    wanted = filter_of(state, name, search, since, filter)
    plain = not (name or search or since or filter) and state in (None, *STATES)
    found = _listed(server, queue, state, limit) if plain else _searched(server, queue, wanted, limit)
    found["jobs"] = [Redaction().job(job) for job in found["jobs"]]
    if as_json:
        print_json(found)
        return
    say(*lines_of(found, server.now()))


def lines_of(found: Json, now: float) -> list[str]:
    """Return the table of the jobs, and how far the search looked."""
    lines = table(("id", "state", "name", "attempts", "when", "error or data"), _rows(found["jobs"], now))
    if not found["jobs"]:
        lines = ["No such job."]
    if found["lookedAt"] is not None:
        more = "; more with --limit or --since" if found["cursor"] else ""
        looked = f"looked at {found['lookedAt']:,} of {count(found['total'], 'job')}"
        lines += [styled(f"{looked}, back to {moment(found['backTo'], now)}{more}", "muted")]
    return lines


def when_of(job: Json) -> int:
    """Return when a job ended, was due or was added, ms since the epoch."""
    if job["state"] == "delayed":
        return int(job["timestamp"] + job["delay"])
    return int(job["finishedOn"] or job["processedOn"] or job["timestamp"])


def _rows(jobs: t.Iterable[Json], now: float) -> t.Iterator[list[Cell]]:
    for job in jobs:
        told = job["failedReason"] or strict_json.compact(job["data"])
        tries = f"{job['attemptsMade']}/{job['opts'].get('attempts') or 1}"
        state = job["state"]
        cells: list[Cell] = [job["id"], (state, STYLES.get(state, "")), job["name"], tries]
        yield [*cells, moment(when_of(job), now), told[:MAX_TOLD]]


def _listed(server: Server, queue: str, state: str | None, limit: int) -> Json:
    states = state or ",".join(STATES)
    page = server.get("queues", queue, "jobs", states=states, end=limit - 1)
    newest = sorted(page["jobs"], key=when_of, reverse=True)
    return {"jobs": newest[:limit], "lookedAt": None, "total": None, "backTo": None, "cursor": None}


def _searched(server: Server, queue: str, filter: str, limit: int) -> Json:
    jobs, looked, cursor = list[Json](), 0, None
    while True:
        wanted = min(PAGE, limit - len(jobs))
        page = server.get("search", q=filter, queue=queue, limit=wanted, cursor=cursor)
        jobs += [found["job"] for found in page["jobs"]]
        looked, cursor = looked + page["lookedAt"], page["cursor"]
        if cursor is None or len(jobs) >= limit:
            return {**page, "jobs": jobs, "lookedAt": looked, "cursor": cursor}
