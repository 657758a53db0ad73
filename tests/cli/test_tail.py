"""`nextmq tail`: events and deliveries as they happen."""

from __future__ import annotations

import asyncio
import json
import signal
import sys
import typing as t
from pathlib import Path

import pytest

from nextmq_handler import Job, Queue, UnrecoverableJobError, Worker
from nextmq_handler.cli.calls import Server
from nextmq_handler.cli.failure import CommandFailed
from nextmq_handler.cli.look import tail
from nextmq_handler.cli.look.tail import Happening, follow
from nextmq_server.testing.live import LiveNextMQ, LiveServer
from nextmq_server.testing.processes import ChildProcess


def welcome(job: Job) -> str:
    if job.data == "bad":
        raise UnrecoverableJobError("no such user")
    return "sent"


@pytest.fixture
def live(live_nextmq_server: LiveServer) -> t.Iterator[LiveNextMQ]:
    with live_nextmq_server.project([Worker("emails", welcome)]) as project:
        yield project


def happenings(do: t.Callable[[], object], *, until: int) -> list[Happening]:
    """Follow all queues, new ones too, while `do` runs in a thread; return what is shown until jobs have ended."""

    async def watch() -> list[Happening]:
        shown = asyncio.Queue[Happening]()
        following = asyncio.create_task(follow(Server(), [], shown.put_nowait, takes_new=True))
        doing = asyncio.create_task(asyncio.to_thread(do))
        found: list[Happening] = []
        while sum(each.event in ("completed", "failed") for each in found) < until:
            found.append(await asyncio.wait_for(shown.get(), 20))
        await doing
        following.cancel()
        await asyncio.wait([following])
        return found

    return asyncio.run(watch())


@pytest.fixture(autouse=True)
def _often(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(tail, "NEW_QUEUES_INTERVAL", 0.02)


@pytest.mark.usefixtures("live")
def test_a_job_is_shown_from_the_start_to_the_delivery_that_ended_it() -> None:
    found = happenings(lambda: Queue("emails").add("welcome", "ada"), until=1)
    events = [each.event for each in found if each.event not in ("drained", "waiting")]
    assert events == ["added", "active", "completed"]
    last = next(each for each in found if each.event == "completed")
    assert (last.queue, last.name, last.delivery and last.delivery["status"]) == ("emails", "welcome", 200)


@pytest.mark.usefixtures("live")
def test_a_failure_is_shown_with_its_reason(capsys: pytest.CaptureFixture[str]) -> None:
    found = happenings(lambda: Queue("emails").add("welcome", "bad"), until=1)
    tail._print(next(each for each in found if each.event == "failed"))
    words = capsys.readouterr().out.split()
    assert words[1:5] == ["emails", "welcome#1", "failed", "200"]
    assert " ".join(words[-4:]) == "UnrecoverableJobError: no such user"


@pytest.mark.usefixtures("live")
def test_more_deliveries_than_are_looked_up_are_shown_as_events(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(tail, "MAX_LOOKUPS", 2)
    found = happenings(lambda: Queue("emails").add_bulk([{"name": "welcome", "data": None}] * 6), until=6)
    ended = [each for each in found if each.event == "completed"]
    assert [each.fields["jobId"] for each in ended] == ["1", "2", "3", "4", "5", "6"]
    assert sum(each.delivery is not None for each in ended) < 6


def test_text_of_a_producer_breaks_no_line(capsys: pytest.CaptureFixture[str]) -> None:
    fields = {"jobId": "1\n2", "failedReason": "a\x1b[31mb\nc"}
    tail._print(Happening("emails", 0, "failed", fields, "wel\ncome", None))
    out = capsys.readouterr().out
    assert (out.count("\n"), "\x1b" in out) == (1, False)


def test_too_many_queues_have_to_be_named(live: LiveNextMQ, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(tail, "MAX_QUEUES", 1)
    with pytest.raises(CommandFailed, match="2 queues are more than the 1 that can be followed"):
        tail.tail(["emails", "pictures"], url=live.url)


def test_the_command_prints_json_lines_until_ctrl_c(live: LiveNextMQ, tmp_path: Path) -> None:
    command = [sys.executable, "-m", "nextmq_handler", "tail", "--json"]
    Queue("emails").add("welcome", "ada").wait_until_finished(timeout=20)
    process = ChildProcess(command, env={"NEXTMQ_URL": live.url})
    try:
        # Until the command listens, its jobs are not seen.
        while not process.lines:
            Queue("emails").add("welcome", "ada").wait_until_finished(timeout=20)
        line = json.loads(process.wait_for_line("completed"))
    finally:
        process.send_signal(signal.SIGINT)
    assert (process.wait(), line["queue"], line["delivery"]["outcome"]) == (0, "emails", "completed")
