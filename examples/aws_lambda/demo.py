"""Jobs go through Lambda's own runtime client: each delivery shown, the end checked."""

from __future__ import annotations

import contextlib
import os
import sys
import tempfile
import time
import typing as t
from dataclasses import dataclass
from pathlib import Path

from rich.console import Console
from rich.table import Table
from rich.text import Text

from nextmq_handler import JobFailedError, NextMQTimeoutError, Queue, QueueJob
from nextmq_server.testing.processes import ChildProcess, start_dev_server

from .runtime_api import local_lambda
from .stand_ins import MailingService, mailing_service

console = Console(highlight=False, width=None if sys.stdout.isatty() else 120)

FINISH_TIME = 15.0

FUNCTION_TIMEOUT = 40.0
"""As in template.yaml, in s."""

ENVIRONMENTS = 2
"""How many invocations run at once: Lambda starts an execution environment for each."""

READERS = ["ada@example.com", "bob@example.com", "cleo@example.com"]
NEWCOMERS = [f"reader{number}@example.com" for number in range(40)]


@dataclass(frozen=True)
class Expected:
    """A job of the demo, what it must return, and how many deliveries it takes at least."""

    shows: str
    job: QueueJob
    result: t.Any
    deliveries: int


def main() -> None:
    """Run the demo; exit 0 only if every job ended as it should."""
    with contextlib.ExitStack() as stack:
        folder = Path(stack.enter_context(tempfile.TemporaryDirectory(prefix="nextmq-demo-")))
        service, mail_url = stack.enter_context(mailing_service())
        runtime_api, function_url = stack.enter_context(local_lambda(timeout=FUNCTION_TIMEOUT))
        console.rule("nextmq dev")
        server, nextmq_url = stack.enter_context(nextmq_dev(folder / "data", function_url))
        os.environ.update(NEXTMQ_URL=nextmq_url, NEXTMQ_APP_URL=function_url, MAIL_URL=mail_url)
        console.rule("deliveries")
        for _ in range(ENVIRONMENTS):
            stack.enter_context(execution_environment(runtime_api))
        # The server polls /health of the function, and the function registers its workers.
        server.wait_for_line("queue subscribers: worker registered")
        expected = enqueue()
        jobs = wait_until_finished([each.job for each in expected])
        console.rule("jobs")
        console.print(table(expected, jobs))
    if not (all(map(as_expected, expected, jobs)) and as_counted(service)):
        sys.exit("A job did not end as it should.")
    console.print("Every job ended as it should, and the mailing service got everything once.")


def enqueue() -> list[Expected]:
    """Add a job for each processor."""
    letters, subscribers = Queue("letters"), Queue("subscribers")
    render = letters.add("render", {"name": "Ada", "product": "teapot"})
    send = letters.add("send", {"to": READERS, "text": "We have teapots."}, attempts=3)
    imported = subscribers.add("import", {"addresses": NEWCOMERS}, attempts=3)
    return [
        Expected("def", render, "Dear Ada,\nyour teapot is on its way.\n", 1),
        Expected("async def", send, {"sent": len(READERS)}, 1),
        Expected("def that watches its time", imported, {"imported": len(NEWCOMERS)}, 2),
    ]


def wait_until_finished(jobs: t.Iterable[QueueJob]) -> list[QueueJob]:
    """Return the jobs once they have ended, or as they are when time is up."""
    deadline = time.monotonic() + FINISH_TIME
    return [finished(job, deadline) for job in jobs]


def finished(job: QueueJob, deadline: float) -> QueueJob:
    """Return the job once it has ended, or as it is at `deadline`, monotonic s."""
    with contextlib.suppress(JobFailedError, NextMQTimeoutError):
        job.wait_until_finished(timeout=max(0.1, deadline - time.monotonic()))
    job.refresh()
    return job


def as_expected(expected: Expected, job: QueueJob) -> bool:
    """Return whether the job ended as expected: a delivery that asks for another one uses no attempt."""
    end = (job.state, job.return_value, job.attempts_made)
    return end == ("completed", expected.result, 1) and job.attempts_started >= expected.deliveries


def as_counted(service: MailingService) -> bool:
    """Whether nobody was forgotten, and nobody stored or written to twice."""
    return service.messages == dict.fromkeys(READERS, 1) and service.subscribers == dict.fromkeys(NEWCOMERS, 1)


def table(expected: list[Expected], jobs: list[QueueJob]) -> Table:
    """Print the jobs, and how they ended."""
    shown = Table("job", "processor", "state", "deliveries", "progress", "result")
    for want, job in zip(expected, jobs, strict=True):
        shown.add_row(
            f"{job.queue_name} {job.name}#{job.id}",
            want.shows,
            Text(job.state, style="green" if as_expected(want, job) else "red"),
            str(job.attempts_started),
            str(job.progress),
            Text(repr(job.failed_reason if job.state == "failed" else job.return_value)),
        )
    return shown


@contextlib.contextmanager
def nextmq_dev(data_dir: Path, app_url: str) -> t.Generator[tuple[ChildProcess, str]]:
    """`nextmq dev` on a free port, its lines shown as they come, and its connection string."""
    env = {"FORCE_COLOR": "1"} if console.is_terminal else {}
    server, url = start_dev_server(data_dir, app_url=app_url, env=env, echo=show)
    try:
        yield server, url
    finally:
        server.stop()


@contextlib.contextmanager
def execution_environment(runtime_api: str) -> t.Generator[None]:
    """Start the runtime client that AWS runs, with the function's handler."""
    env = {
        "AWS_LAMBDA_RUNTIME_API": runtime_api,
        "AWS_LAMBDA_FUNCTION_NAME": "local",
        "AWS_EXECUTION_ENV": f"AWS_Lambda_python{sys.version_info.major}.{sys.version_info.minor}",
    }
    command = [sys.executable, "-m", "awslambdaric", "examples.aws_lambda.handler.handler"]
    environment = ChildProcess(command, env=env, echo=show)
    try:
        yield
    finally:
        environment.stop()


def show(line: str) -> None:
    """Print a child's line as it is."""
    console.out(line, end="")


if __name__ == "__main__":
    main()
