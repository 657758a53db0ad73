"""The output of `nextmq dev`: the banner, one line for each delivery, the log."""

from __future__ import annotations

import json
import os
import sys
import typing as t
from pathlib import Path

from rich.console import Console
from rich.text import Text

from nextmq_handler.protocol.outcomes import Failed
from nextmq_handler.protocol.stacks import innermost_frame
from nextmq_handler.rules.log_text import one_line

from ..dispatch.reports import Report
from ..engine.verdicts import Verdict
from ..projects.projects import Project

if t.TYPE_CHECKING:
    from ..embedded import EmbeddedValkey


class _Console(Console):
    def on_broken_pipe(self) -> None:
        """Discard the output if its reader has ended (`nextmq dev | head`); the server goes on."""
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())


_console = _Console(highlight=False, markup=False, soft_wrap=True)

_STYLES = {  # others are cyan
    "completed": "green",
    "failed": "red",
    "retrying": "yellow",
    "held": "magenta",
}


def say(text: str) -> None:
    """Print a line."""
    _console.print(text)


def print_banner(
    project: Project,
    base_url: str,
    valkey: EmbeddedValkey | None,
    *,
    app: str | None = None,
    app_url: str = "",
    login: str | None = None,
) -> None:
    """Print how to connect, where the data is, and a command to try. `app` is started by this process.

    `login` is the path that logs in to the dashboard once.
    """
    if valkey is None:
        say("Jobs are kept in the Redis of --redis-url")
    else:
        durability = {
            "always": "each write is on disk before its answer",
            "everysec": "a power failure loses at most a second",
            "no": "the operating system decides when to flush",
        }[valkey.fsync]
        say(f"Jobs are kept in {valkey.folder} (Valkey, appendfsync {valkey.fsync}: {durability})")
        say(f"  BullMQ clients connect to {valkey.socket_path}, prefix {project.prefix!r}")
    if app is None:
        say(f"NextMQ server on {base_url}. Start your app with")
        say(f"  export NEXTMQ_URL={project.connection_string(base_url)}")
        say("  export NEXTMQ_APP_URL=http://127.0.0.1:8000/api/nextmq   # where your app mounts the handler")
    else:
        say(f"NextMQ server on {base_url}. Starting {app} with NEXTMQ_URL and")
        say(f"  NEXTMQ_APP_URL={app_url}   # if your app mounts the handler elsewhere, pass --app URL")
    say("Add a job with")
    body = json.dumps({"name": "welcome", "data": {"to": "a@example.com"}})
    say(
        f"  curl {base_url}/v1/queues/emails/jobs -H 'authorization: Bearer {project.api_key}' "
        f"-H 'content-type: application/json' -d '{body}'"
    )
    if login is not None:
        say(f"Open the dashboard (the link works once, for 10 minutes): {base_url}{login}")
    say("Ctrl-C shuts down gracefully. Deliveries:")


def print_app_line(name: str, line: str) -> None:
    """Print a line of the app's output after the app's name. A terminal gets its styles."""
    _console.print(Text.assemble((f"{name} | ", "dim"), Text.from_ansi(line)))


def print_delivery(report: Report) -> None:
    """Print a line with the queue, job, attempt, HTTP status, outcome and ms, and where a processor raised."""
    is_retried = isinstance(report.verdict, Failed) and not report.is_final
    outcome = "retrying" if is_retried else report.verdict.outcome
    detail = one_line(report.verdict.detail or "", 120)
    line = Text.assemble(
        f"{report.queue:<12} ",
        one_line(f"{report.job_name}#{report.job_id}").ljust(24),
        f" attempt {report.attempt}  ",
        f"{report.status or '---'}  ",
        (f"{outcome:<11}", _STYLES.get(outcome, "cyan")),
        f" {report.duration:6.0f} ms",
        (f"  {detail}" if detail else "", "dim"),
        f"  {place}" if (place := _place(report.verdict)) else "",
    )
    _console.print(line)


def _place(verdict: Verdict) -> str:
    """Return the file and line of the app that raised, relative to this folder if it is in it."""
    frame = innermost_frame(verdict.stack) if isinstance(verdict, Failed) else None
    if frame is None:
        return ""
    path = Path(frame.file)
    shown = path.relative_to(Path.cwd()) if path.is_relative_to(Path.cwd()) else path
    return one_line(f"{shown}:{frame.line}")
