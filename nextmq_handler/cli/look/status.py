"""`nextmq status`: the server, the project and every queue, what needs attention first."""

from __future__ import annotations

import typing as t

import typer

from ... import _overrides
from ...rules.log_text import one_line
from ..calls import Json, RouteMissing, Server
from ..options import AsJson, Url
from ..output import Cell, clear, count, duration, print_json, say, styled, table, terminal_width

ATTENTION = ("disabled", "held", "paused", "dead_letters", "no_worker", "stuck", "unknown")
"""The states of a queue that need somebody, the worst first."""

MANY_FAILURES = 300
"""So many failed jobs in an hour, 5 a minute, need somebody too."""

SHOWN = 40
"""How many queues that need nobody are shown."""

PAUSE = 2.0
"""How long, in s, --watch waits between two looks."""

_STYLES = {
    **dict.fromkeys(("disabled", "held"), "bad"),
    **dict.fromkeys(("paused", "dead_letters", "no_worker", "stuck", "rate_limited", "unknown"), "warn"),
    "running": "ok",
    "idle": "muted",
}
_HEADS = ("queue", "state", "waiting", "delayed", "active", "failed", "oldest", "done/h", "failed/h")


def status(
    url: Url = None,
    as_json: AsJson = False,
    watch: t.Annotated[bool, typer.Option("--watch", help="Look every 2 s, until Ctrl-C.")] = False,
    show_all: t.Annotated[bool, typer.Option("--all", help="Show every queue that needs nobody, too.")] = False,
) -> None:
    """Show the server, the project and its queues, what needs attention first."""
    server = Server(url)
    while True:
        about, queues = look(server)
        if as_json:
            print_json({"server": about, "queues": queues})
        else:
            head = [f"project {server.connection.project}"] if about is None else _head(about)
            lines = [*head, "", *lines_of(queues, show_all=show_all)]
            if watch:
                clear()
            say(*lines)
        if not watch:
            return
        _overrides.sleep(PAUSE)


def look(server: Server) -> tuple[Json | None, list[Json]]:
    """Return the server, None if it is too old to tell, and its queues, those that need somebody first."""
    try:
        about = server.get("server")
    except RouteMissing:
        about = None
    queues = [queue for page in server.pages("overview") for queue in page["queues"]]
    return about, sorted(queues, key=_rank)


def lines_of(queues: t.Sequence[Json], *, show_all: bool) -> list[str]:
    """Return the table of the queues."""
    if not queues:
        return ['No queue yet. Add a job: nextmq add emails welcome \'{"to": "a@example.com"}\'']
    urgent = sum(map(_needs_somebody, queues))
    shown = queues if show_all else queues[: urgent + SHOWN]
    head, *rows = table(_HEADS, map(_row, shown), right=range(2, 9))
    lines = [head]
    for queue, row in zip(shown, rows, strict=True):
        lines.append(row)
        if queue["cause"]:
            lines.append(styled(f"  └ {one_line(queue['cause'], terminal_width() - 4)}", "muted"))
    if len(shown) < len(queues):
        lines.append(styled(f"{count(len(queues) - len(shown), 'more queue')}: nextmq status --all", "muted"))
    hint = " What ends it: nextmq why QUEUE" if urgent else ""
    verb = "needs" if urgent == 1 else "need"
    return [*lines, "", f"{urgent:,} of {count(len(queues), 'queue')} {verb} somebody.{hint}"]


def _head(about: Json) -> list[str]:
    processes, redis = about["processes"], about["redis"]
    slots = f"{sum(p['inFlight'] for p in processes):,} of {sum(p['maxInFlight'] for p in processes):,} deliveries"
    memory = f"{redis['usedMemory'] / 2**20:,.0f} MiB"
    if redis.get("maxMemory"):
        memory += f" of {redis['maxMemory'] / 2**20:,.0f}"
    parts = [
        f"project {about['project']}",
        f"nextmq {about['version']}",
        f"{len(processes)} {'process' if len(processes) == 1 else 'processes'}, {slots} open",
        f"{redis['kind']} {redis['version']}, {memory}, answers in {duration(redis['roundTrip'])}",
    ]
    return [styled(parts[0], "head") + " · " + " · ".join(parts[1:])]


def _row(queue: Json) -> list[Cell]:
    counts, state = queue["counts"], queue["state"]
    failed = queue["failedLastHour"]
    waiting = counts.get("waiting", 0) + counts.get("prioritized", 0) + counts.get("paused", 0)
    oldest = queue["oldestWaiting"]
    return [
        queue["name"],
        (state.replace("_", " "), _STYLES.get(state, "warn")),
        _number(waiting),
        _number(counts.get("delayed", 0)),
        _number(counts.get("active", 0)),
        _number(counts.get("failed", 0)),
        ("-", "muted") if oldest is None else duration(oldest),
        _number(queue["completedLastHour"]),
        (f"{failed:,}", "bad") if failed >= MANY_FAILURES else _number(failed),
    ]


def _number(number: int) -> Cell:
    return f"{number:,}" if number else ("-", "muted")


def _needs_somebody(queue: Json) -> bool:
    return queue["state"] in ATTENTION or queue["failedLastHour"] >= MANY_FAILURES


def _rank(queue: Json) -> tuple[bool, int, int, str]:
    state = queue["state"]
    place = ATTENTION.index(state) if state in ATTENTION else len(ATTENTION)
    return not _needs_somebody(queue), place, -queue["failedLastHour"], queue["name"]
