"""`nextmq workers`: which app works for which queue, and what differs from this code."""

from __future__ import annotations

import typing as t

import typer

from ... import _overrides
from ...errors import NextMQHTTPError
from ...registration.body import registration_of
from ...rules.log_text import one_line
from ...settings import load_settings
from ...workers.loading import load, workers_of
from ...workers.worker import Worker
from ..calls import Server, act_as_app_of_this_folder
from ..failure import FOUND, line_of
from ..options import AsJson, Url
from ..output import Cell, count, duration, moment, print_json, say, styled, table

_HEADS = ("queue", "url", "concurrency", "timeout", "release", "last seen")


def workers(
    handler: t.Annotated[
        str | None,
        typer.Argument(
            metavar="module:handler", help="Compare with the workers of this code.", show_default=False
        ),
    ] = None,
    url: Url = None,
    as_json: AsJson = False,
) -> None:
    """Show which app works for which queue. With a handler, also what differs from its code.

    nextmq workers replace module:handler replaces registrations that differ.
    """
    server = Server(url)
    if handler is not None:
        act_as_app_of_this_folder()
    held = {each["queue"]: each["registration"] for page in server.pages("workers") for each in page["workers"]}
    compared = None if handler is None else _compare(server, handler, url)
    if as_json:
        print_json({"workers": held, "differences": compared})
    else:
        _print(held)
        for queue, found in (compared or {}).items():
            _print_difference(queue, found)
    if compared and any(found != [] for found in compared.values()):
        raise typer.Exit(FOUND)


def _compare(server: Server, target: str, url: str | None) -> dict[str, list[str] | None]:
    """Return what differs from the workers of `target`, by queue; None for a queue without a registration."""
    settings = getattr(load(target), "settings", None) or load_settings(url=url)
    return {worker.name: _differences(server, worker, settings) for worker in workers_of(target)}


def _differences(server: Server, worker: Worker, settings: t.Any) -> list[str] | None:
    try:
        found = server.put("queues", worker.name, "worker", content=registration_of(worker, settings), dryRun=True)
    except NextMQHTTPError as exc:
        if exc.status != 422:
            raise
        return [f"refused: {line_of(exc)}"]
    differences: list[str] = found["differences"]
    return differences if found["isRegistered"] else None


def _print(held: dict[str, dict[str, t.Any]]) -> None:
    if not held:
        say("No app has registered a worker: nextmq doctor says why.")
        return
    now = _overrides.wall_clock() * 1000
    rows: list[list[Cell]] = [
        [
            queue,
            registration["url"].removesuffix(f"/queues/{queue}"),
            str(registration["options"]["concurrency"]),
            duration(registration["options"]["timeout"]),
            registration["release"] or "-",
            moment(registration["lastSeen"] or None, now),
        ]
        for queue, registration in sorted(held.items())
    ]
    say(count(len(held), "worker"), "", *table(_HEADS, rows, right={2, 3}))


def _print_difference(queue: str, found: list[str] | None) -> None:
    if found is None:
        say(styled(f"{queue}: not registered; start the app, or nextmq register", "bad"))
    elif found:
        say(styled(f"{queue}: this code differs: {one_line('; '.join(found))}", "warn"))
    else:
        say(styled(f"{queue}: registered as in this code", "ok"))
