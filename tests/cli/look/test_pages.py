"""What `status`, `why` and `job` show of answers, as people read it."""

from __future__ import annotations

import typing as t

import pytest

from nextmq_handler.cli.look import status, why

NOW = 1_800_000_000_000


@pytest.fixture(autouse=True)
def _without_styles(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("NO_COLOR", "1")


def queue(name: str, state: str, cause: str | None = None, **members: t.Any) -> dict[str, t.Any]:
    return {
        "name": name,
        "state": state,
        "cause": cause,
        "since": None,
        "nearest": None,
        "counts": {"waiting": 1},
        "oldestWaiting": None,
        "lastDelivery": None,
        "deadLettersOf": [],
        "isPaused": False,
        "workers": 0,
        "failedLastHour": 0,
        "completedLastHour": 0,
        **members,
    }


def test_the_queues_that_need_somebody_come_first_the_worst_at_the_top() -> None:
    queues = [
        *(queue("a", "idle"), queue("b", "running"), queue("c", "no_worker"), queue("d", "held")),
        *(queue("e", "running", failedLastHour=status.MANY_FAILURES), queue("f", "disabled")),
    ]
    assert [one["name"] for one in sorted(queues, key=status._rank)] == ["f", "d", "c", "e", "a", "b"]


def test_a_row_has_state_counts_ages_and_the_cause() -> None:
    shown = queue("emails", "held", "unreachable", oldestWaiting=360_000, completedLastHour=1200)
    shown["counts"] = {"waiting": 1000, "prioritized": 2, "delayed": 3, "active": 0, "failed": 7}
    _, first, second, *_ = status.lines_of([shown], show_all=False)
    row = first.split("  ")
    assert [cell.strip() for cell in row if cell.strip()] == [
        *("emails", "held", "1,002", "3", "-", "7", "6 min", "1,200", "-"),
    ]
    assert second == "  └ unreachable"


def test_queues_that_need_nobody_are_counted_beyond_a_screen() -> None:
    queues = [queue(f"q{number}", "idle") for number in range(status.SHOWN + 7)]
    lines = status.lines_of(queues, show_all=False)
    assert lines[-3:] == ["7 more queues: nextmq status --all", "", "0 of 47 queues need somebody."]


def test_without_a_queue_it_says_how_to_add_a_job() -> None:
    assert status.lines_of([], show_all=False)[0].startswith("No queue yet. Add a job: nextmq add ")


CAUSES = [
    {
        "code": "paused",
        "sentence": "queue emails is paused",
        "remedy": {"text": "Resume it.", "command": "nextmq resume emails"},
        "since": NOW - 360_000,
        "until": None,
        "age": None,
        "details": {},
    },
    {
        "code": "breaker",
        "sentence": "the app failed 5 times in a row",
        "remedy": {"text": "It tries again by itself.", "command": None},
        "since": None,
        "until": NOW + 1000,
        "age": 9000,
        "details": {},
    },
]


def test_each_cause_has_its_code_sentence_times_remedy_and_command() -> None:
    answer = {"queue": "emails", "job": "7", "state": "waiting", "at": NOW, "causes": CAUSES}
    assert why.lines_of(answer) == [
        "job 7 of queue emails, waiting: 2 causes, the one to end first in front",
        "",
        "1. paused  queue emails is paused",
        "   for 6 min",
        "   → Resume it.",
        "     $ nextmq resume emails",
        "",
        "2. breaker  the app failed 5 times in a row",
        "   ends in 1.0 s, as its server said 9.0 s ago",
        "   → It tries again by itself.",
    ]


def test_without_a_cause_nothing_keeps_it_from_running() -> None:
    answer: dict[str, t.Any] = {"queue": "emails", "job": None, "state": None, "at": NOW, "causes": []}
    assert why.lines_of(answer) == ["Nothing keeps queue emails from running."]
