"""`nextmq job`: one job whole."""

from __future__ import annotations

import json
import typing as t

import typer

from ...errors import NotFoundError
from ...rules.log_text import one_line
from ...rules.search.redaction import Redaction
from ..calls import Json, Server
from ..failure import CommandFailed
from ..options import AsJson, QueueName, Url
from ..output import Cell, count, duration, moment, print_json, say, styled, table
from .jobs import STYLES, when_of

LOG_ROWS = 100
"""How many rows of its log are shown, the last ones."""

MAX_LINES = 60
"""How many lines of its data, or of a traceback, are shown."""

_SHOWN_APART = ("attempts", "parent", "delay", "priority")


def job(
    queue: QueueName,
    id: t.Annotated[str, typer.Argument(metavar="JOB", help="The id of the job.", show_default=False)],
    url: Url = None,
    as_json: AsJson = False,
) -> None:
    """Show one job whole: data without secrets, deliveries, traceback, logs, options and flow."""
    server = Server(url)
    path = ("queues", queue, "jobs", id)
    try:
        found = server.get(*path)
    except NotFoundError:
        raise CommandFailed(
            f'job {id} is not in queue "{queue}" (any more). What is known: nextmq why {queue} {id}'
        ) from None
    logs = server.get(*path, "logs", asc=False, end=LOG_ROWS - 1)
    children = Redaction().value(server.get(*path, "dependencies", limit=20))
    shown: t.Any = Redaction().job(found)
    logs = {**logs, "logs": [Redaction().text(row) for row in reversed(logs["logs"])]}
    if as_json:
        print_json({**shown, "queue": queue, "logs": logs, "children": children})
        return
    say(*lines_of(queue, shown, logs, children, server.now()))


def lines_of(queue: str, job: Json, logs: Json, children: Json, now: float) -> list[str]:
    """Return a job in sections, those that are empty left out."""
    sections = {
        "data": _json(job["data"]),
        "result": [] if job["returnValue"] is None else _json(job["returnValue"]),
        "progress": [] if job["progress"] in (0, None) else _json(job["progress"]),
        "options": _options(job["opts"]),
        f"deliveries ({_of_all(job)})": _deliveries(job, now),
        "error": [styled(line, "bad") for line in _lines(job["failedReason"] or "")],
        "traceback of the last attempt": _lines(job["stacktrace"][-1]) if job["stacktrace"] else [],
        f"log ({count(logs['count'], 'row')})": [one_line(row) for row in logs["logs"]],
        "flow": _flow(job, children),
    }
    lines = [*_head(queue, job, now)]
    for title, body in sections.items():
        if body:
            lines += ["", styled(title.upper(), "muted"), *(f"  {line}" for line in body)]
    return lines


def _head(queue: str, job: Json, now: float) -> t.Iterator[str]:
    state = job["state"]
    title = styled(f"{one_line(job['name'])} {one_line(job['id'])}", "head")
    yield f"{title} in queue {one_line(queue)}: {styled(state, STYLES.get(state))}"
    parts = [f"added {moment(job['timestamp'], now)}"]
    if job["processedOn"]:
        parts.append(f"last started {moment(job['processedOn'], now)}")
    if job["finishedOn"]:
        parts.append(f"ended {moment(job['finishedOn'], now)}")
    if state == "delayed":
        parts.append(f"due {moment(when_of(job), now)}")
    parts.append(f"{job['attemptsMade']} of {count(job['opts'].get('attempts') or 1, 'attempt')} used")
    if job["priority"]:
        parts.append(f"priority {job['priority']}")
    yield ", ".join(parts)
    if lock := job.get("lock"):
        yield f"held by {one_line(lock['owner'])}, whose lock expires in {duration(max(0, lock['expiresIn']))}"
    if job["deduplicationId"]:
        yield f"deduplicated as {one_line(job['deduplicationId'])}"


def _of_all(job: Json) -> str:
    kept = len(job["deliveries"])
    in_all = max(kept, job.get("deliveriesCount") or 0)
    return f"the last {kept} of {in_all:,}" if in_all > kept else f"{kept}"


def _deliveries(job: Json, now: float) -> list[str]:
    if not job["deliveries"]:
        return []
    return table(("attempt", "when", "status", "took", "outcome", "detail"), _rows(job["deliveries"], now))


def _rows(deliveries: t.Iterable[Json], now: float) -> t.Iterator[list[Cell]]:
    for entry in deliveries:
        attempt = str(entry.get("attempt") or "-") + ("" if entry.get("usedAttempt", True) else " (not used)")
        status = str(entry["status"] or "no answer")
        detail = entry["detail"] or entry.get("excerpt") or ""
        outcome = entry["outcome"]
        style = {"completed": "ok", "failed": "bad"}.get(outcome, "warn")
        yield [attempt, moment(entry["at"], now), status, duration(entry["ms"]), (outcome, style), detail]


def _options(opts: Json) -> list[str]:
    shown = {name: value for name, value in opts.items() if name not in _SHOWN_APART and value is not None}
    return [f"{one_line(name)}: {one_line(json.dumps(value), 200)}" for name, value in shown.items()]


def _flow(job: Json, children: Json) -> list[str]:
    lines: list[str] = []
    if parent := job["parent"]:
        lines.append(f"child of {one_line(parent['id'])} in queue {one_line(_name_of(parent))}")
    kinds: dict[str, t.Any] = {
        "done": children["processed"],
        "open": children["unprocessed"],
        "failed, ignored": children["ignored"],
        "failed": children["failed"],
    }
    for kind, found in kinds.items():
        lines += [f"{kind}: {one_line(child)}" for child in found]
    return lines


def _name_of(parent: Json) -> str:
    return str(parent.get("queue") or parent.get("queueKey", ""))


def _json(value: object) -> list[str]:
    return _lines(json.dumps(value, indent=2, ensure_ascii=False))


def _lines(text: str) -> list[str]:
    lines = [one_line(line, 500) for line in text.splitlines()]
    more = len(lines) - MAX_LINES
    return [*lines[:MAX_LINES], f"… {count(more, 'more line')}: --json"] if more > 0 else lines
