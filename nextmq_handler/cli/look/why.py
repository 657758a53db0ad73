"""`nextmq why`: all that keeps a job or a queue from running, and the command that ends each."""

from __future__ import annotations

import textwrap
import typing as t

import typer

from ...rules.log_text import one_line
from ..calls import Json, Server
from ..failure import FOUND
from ..options import AsJson, QueueName, Url
from ..output import duration, moment, print_json, say, styled, terminal_width

OLD_FACT = 5000
"""What a process published longer ago than this, in ms, is shown with its age."""

_WIDTH = 100


def why(
    queue: QueueName,
    job: t.Annotated[str | None, typer.Argument(metavar="JOB", help="The id of a job.")] = None,
    url: Url = None,
    as_json: AsJson = False,
) -> None:
    """Say why a job, or the next job of a queue, does not run. The cause that must end first comes first.

    Exits 1 if there is a cause, 0 if nothing keeps it from running.
    """
    path = ("queues", queue, "jobs", job, "why") if job is not None else ("queues", queue, "why")
    answer = Server(url).get(*path)
    if as_json:
        print_json(answer)
    else:
        say(*lines_of(answer))
    if answer["causes"]:
        raise typer.Exit(FOUND)


def lines_of(answer: Json) -> list[str]:
    """Return what is known, a paragraph for each cause."""
    causes = answer["causes"]
    what = f"job {answer['job']} of queue {answer['queue']}" if answer["job"] else f"queue {answer['queue']}"
    state = f", {answer['state']}" if answer.get("state") else ""
    if not causes:
        return [f"Nothing keeps {one_line(what)}{state} from running."]
    told = "one cause" if len(causes) == 1 else f"{len(causes)} causes, the one to end first in front"
    lines = [f"{styled(one_line(what), 'head')}{state}: {told}"]
    for number, cause in enumerate(causes, 1):
        lines += ["", *_cause(number, cause, answer["at"], style="bad" if number == 1 else "warn")]
    return lines


def _cause(number: int, cause: Json, now: float, *, style: str) -> list[str]:
    lines = [f"{number}. {styled(cause['code'], style)}  {_wrapped(cause['sentence'])}"]
    if times := ", ".join(_times(cause, now)):
        lines.append(f"   {styled(times, 'muted')}")
    remedy: Json = cause.get("remedy") or {}
    if text := remedy.get("text"):
        lines.append(f"   → {_wrapped(text)}")
    if command := remedy.get("command"):
        lines.append(f"     $ {styled(one_line(command), 'head')}")
    return lines


def _times(cause: Json, now: float) -> t.Iterator[str]:
    if (since := cause.get("since")) is not None:
        yield f"for {duration(max(0, now - since))}"
    if (until := cause.get("until")) is not None:
        yield f"ends {moment(until, now)}" if until > now else f"over since {moment(until, now)}"
    if (age := cause.get("age")) is not None and age > OLD_FACT:
        yield f"as its server said {duration(age)} ago"


def _wrapped(text: str) -> str:
    width = min(_WIDTH, terminal_width()) - 5
    return "\n     ".join(textwrap.wrap(one_line(text), width, break_long_words=False))
