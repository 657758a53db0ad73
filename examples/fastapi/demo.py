"""`make demo`: jobs go through the whole circle, each delivery shown, the end checked."""

from __future__ import annotations

import asyncio
import contextlib
import io
import os
import sys
import tempfile
import time
import typing as t
from dataclasses import dataclass
from pathlib import Path

import httpx
from PIL import Image
from rich.console import Console
from rich.table import Table
from rich.text import Text

from nextmq_handler import AsyncQueue, AsyncQueueJob, JobFailedError, NextMQTimeoutError
from nextmq_server.testing.processes import ChildProcess, free_port, start_dev_server

from .stand_ins import Mailbox, crm_server, mail_server

console = Console(highlight=False, width=None if sys.stdout.isatty() else 120)

FINISH_TIME = 20.0


@dataclass(frozen=True)
class Expected:
    """A job of the demo, and how it must end."""

    shows: str
    queue: str
    job_id: str
    state: str
    attempts: int
    starts: int


def main() -> None:
    """Run the demo; exit 0 only if every job ended as it should."""
    with contextlib.ExitStack() as stack:
        folder = Path(stack.enter_context(tempfile.TemporaryDirectory(prefix="nextmq-demo-")))
        mailbox, smtp_port = stack.enter_context(mail_server())
        crm_port = stack.enter_context(crm_server())
        app_port = free_port()
        console.rule("nextmq dev")
        nextmq_url = stack.enter_context(nextmq_dev(folder / "data"))
        env = {
            "NEXTMQ_URL": nextmq_url,
            "NEXTMQ_APP_URL": f"http://127.0.0.1:{app_port}/api/nextmq",
            "SMTP_PORT": str(smtp_port),
            "CRM_URL": f"http://127.0.0.1:{crm_port}",
            "UPLOADS": str(folder),
        }
        os.environ.update(env)
        stack.enter_context(fastapi_app(app_port))
        console.rule("deliveries")
        ended_well = asyncio.run(enqueue_and_watch(f"http://127.0.0.1:{app_port}", mailbox))
    sys.exit(0 if ended_well else 1)


async def enqueue_and_watch(app_url: str, mailbox: Mailbox) -> bool:
    """Use the app as its visitors do, then wait for the jobs and show how they ended."""
    async with httpx.AsyncClient(base_url=app_url) as visitor:
        expected = await enqueue(visitor)
    jobs = [await finished(job) for job in expected]
    console.rule("jobs")
    console.print(table(expected, jobs))
    arrived = [f"{message['To']}: {message['Subject']}" for message in mailbox.messages]
    console.print(f"Mails that the SMTP server got: {', '.join(arrived) or 'none'}")
    mails_right = sorted(message["To"] for message in mailbox.messages) == ["ada@example.com", "busy@example.com"]
    ended_well = mails_right and all(map(as_expected, expected, jobs))
    console.print("Every job ended as it should." if ended_well else "[red]A job did not end as it should.[/red]")
    return ended_well


async def enqueue(visitor: httpx.AsyncClient) -> list[Expected]:
    """Do what visitors do."""

    async def accepted(method: str, path: str, **body: t.Any) -> t.Any:
        return (await visitor.request(method, path, **body)).raise_for_status().json()

    soon = round(time.time() * 1000) + 1500
    ada = await accepted("POST", "/signup", json={"name": "Ada", "email": "ada@example.com"})
    bob = await accepted("POST", "/signup", json={"name": "Bob", "email": "busy@example.com"})
    letter = await accepted("POST", "/newsletter", json={"email": "ada@example.com", "not_before": soon})
    picture = await accepted("PUT", "/pictures/cat.png", content=png())
    broken = await accepted("PUT", "/pictures/cat.txt", content=b"no picture")
    return [
        Expected("completed: a mail", **ada[0], state="completed", attempts=1, starts=1),
        Expected("failed, then retried", **ada[1], state="completed", attempts=3, starts=3),
        Expected("completed: a mail", **bob[0], state="completed", attempts=1, starts=1),
        Expected("rate-limited", **bob[1], state="completed", attempts=1, starts=2),
        Expected("delayed", **letter, state="completed", attempts=1, starts=2),
        Expected("completed: progress", **picture, state="completed", attempts=1, starts=1),
        Expected("unrecoverable", **broken, state="failed", attempts=1, starts=1),
    ]


async def finished(expected: Expected) -> AsyncQueueJob:
    """Return the job once it has ended, or as it is when time is up."""
    job = await AsyncQueue(expected.queue).get_job(expected.job_id)
    assert job is not None, f"job {expected.job_id} of queue {expected.queue} is gone"
    with contextlib.suppress(JobFailedError, NextMQTimeoutError):
        await job.wait_until_finished(FINISH_TIME)
    await job.refresh()
    return job


def as_expected(expected: Expected, job: AsyncQueueJob) -> bool:
    """Whether the job ended as it should."""
    end = (job.state, job.attempts_made, job.attempts_started)
    return end == (expected.state, expected.attempts, expected.starts)


def table(expected: list[Expected], jobs: list[AsyncQueueJob]) -> Table:
    """Print the jobs, their attempts and final states. A state that is not the expected end is red."""
    shown = Table("job", "shows", "state", "attempts", "progress", "result")
    for want, job in zip(expected, jobs, strict=True):
        result = str(job.failed_reason if job.state == "failed" else job.return_value)
        shown.add_row(
            f"{job.queue_name} {job.name}#{job.id}",
            want.shows,
            Text(job.state, style="green" if as_expected(want, job) else "red"),
            str(job.attempts_made),
            str(job.progress),
            Text(result if len(result) <= 30 else result[:29] + "…"),
        )
    return shown


def png() -> bytes:
    """Make a picture."""
    buffer = io.BytesIO()
    Image.new("RGB", (640, 480), "orange").save(buffer, "PNG")
    return buffer.getvalue()


@contextlib.contextmanager
def nextmq_dev(data_dir: Path) -> t.Generator[str]:
    """`nextmq dev` on a free port, its lines shown as they come; its connection string."""
    env = {"FORCE_COLOR": "1"} if console.is_terminal else {}
    server, url = start_dev_server(data_dir, env=env, echo=lambda line: console.out(line, end=""))
    try:
        yield url
    finally:
        server.stop()


@contextlib.contextmanager
def fastapi_app(port: int) -> t.Generator[None]:
    """Run the example under uvicorn."""
    command = [sys.executable, "-m", "uvicorn", "examples.fastapi.app:app", "--port", str(port), "--no-access-log"]
    app = ChildProcess(command)
    try:
        app.wait_for_line("Uvicorn running")
        yield
    finally:
        app.stop()


if __name__ == "__main__":
    main()
