"""The commands of docs/how-to/operate.md, typed in their order in an incident, answer its eight questions."""

from __future__ import annotations

import io
import typing as t

import pytest

from nextmq_handler import Queue, UnrecoverableJobError, Worker
from nextmq_handler.cli.change import many
from nextmq_handler.cli.main import main
from nextmq_server.testing.live import LiveServer

from .commands import commands_in
from .pages import PAGES

PAGE = PAGES["docs/how-to/operate.md"]

ANSWERS = {
    "status": ["paused", "emails"],
    "failures emails": ["mail provider answered", "emails"],
    "why emails": ["1. paused", "$ nextmq resume emails"],
    "resume emails": ['Resumed queue "emails".'],
    "jobs emails --state failed --search 502 --since 2h": ["mail provider answered 502", "looked at"],
    "job emails 1": [
        "welcome 1 in queue emails: failed",
        "DELIVERIES",
        "mail provider answered 502",
        "[redacted]",
    ],
    "retry emails --state failed --search 502 --since 2h --dry-run": [
        'This would run again 2 jobs of queue "emails".'
    ],
    "retry emails --state failed --search 502 --since 2h": ["done: 2 of 2 jobs"],
    "jobs emails --state completed --since 2h": ["welcome"],
    "bulk": ["retry", "done"],
    "audit": ["pause", "resume", "bulk"],
}
"""What each command of the page tells, in their order."""


class Terminal(io.StringIO):
    """Standard input of a user who agrees."""

    def isatty(self) -> bool:
        return True


def test_the_eight_questions_of_an_incident_are_answered_by_the_commands_of_the_page(
    live_nextmq_server: LiveServer, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(many, "LOOK_EVERY", 0.02)
    is_down = True

    def send(job: t.Any) -> None:
        if is_down:
            raise UnrecoverableJobError("the mail provider answered 502")

    with live_nextmq_server.project([Worker("emails", send)]) as project:
        for name in ("ada", "bob"):
            Queue("emails").add("welcome", {"to": name, "password": "hunter2"})
        project.wait_until_idle()
        Queue("emails").pause()
        Queue("emails").add("welcome", {"to": "cy"})
        is_down = False
        said: dict[str, str] = {}
        for _, *words in commands_in("\n".join(_blocks())):
            monkeypatch.setattr("sys.stdin", Terminal("y\n"))
            with pytest.raises(SystemExit):
                main(words)
            said[" ".join(words)] = capsys.readouterr().out
            if "retry" in words:
                project.wait_until_idle()
        assert list(said) == list(ANSWERS)
        assert [
            (typed, part) for typed, parts in ANSWERS.items() for part in parts if part not in said[typed]
        ] == []
        assert "hunter2" not in "".join(said.values())


def _blocks() -> list[str]:
    """Return the console blocks of the page."""
    parts = PAGE.read_text().split("```")
    return [part.removeprefix("console\n") for part in parts[1::2] if part.startswith("console\n")]
