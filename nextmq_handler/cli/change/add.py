"""`nextmq add`: add a job."""

from __future__ import annotations

import typing as t

import typer

from ..calls import Json, Server
from ..failure import USAGE, CommandFailed
from ..options import AsJson, QueueName, Url
from ..output import print_json, say
from ..spans import ms_of
from .content import read_json


def add(
    queue: QueueName,
    name: t.Annotated[str, typer.Argument(metavar="NAME", help="The name of the job.", show_default=False)],
    data: t.Annotated[
        str, typer.Argument(metavar="DATA", help="JSON; @FILE reads a file, - standard input.")
    ] = "null",
    delay: t.Annotated[str | None, typer.Option("--delay", help="Start it after this time, such as 10s.")] = None,
    priority: t.Annotated[int | None, typer.Option("--priority", help="1 is the most urgent.")] = None,
    attempts: t.Annotated[int | None, typer.Option("--attempts", help="How many attempts it has.")] = None,
    job_id: t.Annotated[str | None, typer.Option("--id", help="An id of your own.")] = None,
    opts: t.Annotated[str, typer.Option("--opts", help="Any other options, JSON with BullMQ's names.")] = "{}",
    url: Url = None,
    as_json: AsJson = False,
) -> None:
    """Add a job and print its id."""
    given: object = read_json(opts, "--opts")
    if not isinstance(given, dict):
        raise CommandFailed("--opts takes a JSON object, such as '{\"keepLogs\": 10}'", USAGE)
    named = {
        "delay": None if delay is None else ms_of(delay, "--delay"),
        "priority": priority,
        "attempts": attempts,
        "jobId": job_id,
    }
    options: Json = {**given, **{key: value for key, value in named.items() if value is not None}}
    body = {"name": name, "data": read_json(data, "DATA"), "opts": options}
    added = Server(url).post("queues", queue, "jobs", content=body)
    if as_json:
        print_json(added)
    else:
        say(f"{added['id']}")
