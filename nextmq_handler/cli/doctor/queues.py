"""The rung of the queues: those that have jobs and do not run."""

from __future__ import annotations

import typing as t

from ...rules.log_text import one_line
from .findings import Asking, Findings, good, unknown, wrong

_WAITING = ("waiting", "prioritized", "delayed")
_BROKEN = {
    "disabled": "deploy a handler for it again: its next registration ends this",
    "held": "nextmq why {queue} says what the app answered, and when the next try is",
    "stuck": "nextmq why {queue} says what its jobs wait for",
}


def look_at_queues(asking: Asking) -> Findings[None]:
    """Find queues with jobs and no worker, and those whose endpoint fails."""
    seen, broken, place = 0, 0, None
    while True:
        part = asking.find("GET", "overview", query={"from": place})
        if part is None:
            yield unknown("queue", "the server is older than this command and does not tell of all its queues")
            return
        for queue in part["queues"]:
            seen += 1
            finding = _problem(queue)
            if finding is not None:
                broken += 1
                yield wrong("queue", *finding)
        place = part.get("next")
        if place is None:
            break
    if not broken:
        yield good(
            "queue", f"{seen} queues, none without a worker" if seen != 1 else "1 queue, and it has a worker"
        )


def _problem(queue: dict[str, t.Any]) -> tuple[str, str] | None:
    name, state = queue["name"], queue["state"]
    if state == "no_worker":
        waiting = sum(queue["counts"].get(kind, 0) for kind in _WAITING)
        near = f'; did you mean "{queue["nearest"]}"?' if queue.get("nearest") else ""
        return (
            f'queue "{name}" has {waiting} waiting {"job" if waiting == 1 else "jobs"} and no worker{near}',
            f'add the jobs to "{queue["nearest"]}"' if near else f'start the app that has Worker("{name}")',
        )
    if state in _BROKEN:
        cause = one_line(queue.get("cause") or state, 200)
        return f'queue "{name}" is {state}: {cause}', _BROKEN[state].format(queue=name)
    return None
