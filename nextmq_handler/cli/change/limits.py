"""`nextmq limits`: concurrency and rate limit of a queue, over all server processes."""

from __future__ import annotations

import typing as t

import typer

from ..calls import Json, Server
from ..failure import USAGE, CommandFailed
from ..options import AsJson, QueueName, Url
from ..output import duration, print_json, say
from ..spans import rate_of

NONE = "none"
"""What takes a limit away."""


def limits(
    queue: QueueName,
    concurrency: t.Annotated[
        str | None, typer.Option("--concurrency", help="How many jobs may run at once; none takes it away.")
    ] = None,
    rate: t.Annotated[
        str | None, typer.Option("--rate", help="How many jobs start in a time: 100/60s; none takes it away.")
    ] = None,
    end_rest: t.Annotated[bool, typer.Option("--end-rest", help="End the pause of a rate limit now.")] = False,
    url: Url = None,
    as_json: AsJson = False,
) -> None:
    """Show or set the limits of a queue. The worker's own concurrency still applies."""
    server = Server(url)
    if concurrency == NONE:
        server.delete("queues", queue, "concurrency")
    elif concurrency is not None:
        if not concurrency.isdecimal():
            raise CommandFailed(f"--concurrency takes a number or {NONE}, not {concurrency!r}", USAGE)
        server.put("queues", queue, "concurrency", content={"concurrency": int(concurrency)})
    if rate == NONE:
        server.delete("queues", queue, "rate-limit")
    elif rate is not None:
        most, span = rate_of(rate, "--rate")
        server.put("queues", queue, "rate-limit", content={"max": most, "duration": span})
    if end_rest:
        server.delete("queues", queue, "rate-limited")
    view = server.get("queues", queue)
    found: Json = {key: view[key] for key in ("concurrency", "rateLimit", "rateLimitTtl")}
    if as_json:
        print_json(found)
    else:
        say(*_lines(found))


def _lines(found: Json) -> list[str]:
    over_all, of_worker = found["concurrency"]["global"], found["concurrency"]["worker"]
    rate = found["rateLimit"]
    lines = [
        f"jobs at once {over_all or 'no limit'} over all, {of_worker or '-'} of the worker",
        f"job rate     {rate['max']:,} jobs in {duration(rate['duration'])}" if rate else "job rate     no limit",
    ]
    rest = found["rateLimitTtl"]
    return [*lines, f"rests        for {duration(rest)} more: --end-rest"] if rest > 0 else lines
