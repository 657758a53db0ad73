"""Commands that change jobs and queues, on a real server."""

from __future__ import annotations

import io
import json
import typing as t
from pathlib import Path

import pytest

from nextmq_handler import Queue, UnrecoverableJobError, Worker
from nextmq_server.testing.live import LiveNextMQ, LiveServer
from tests.cli.conftest import Run

pytestmark = pytest.mark.usefixtures("live")


class Terminal(io.StringIO):
    """Standard input of a user who types an answer."""

    def isatty(self) -> bool:
        return True


@pytest.fixture
def answer(monkeypatch: pytest.MonkeyPatch) -> t.Callable[[str], None]:
    """Give a function that puts a terminal, on which the user types this, in the place of standard input."""
    return lambda text: monkeypatch.setattr("sys.stdin", Terminal(f"{text}\n"))


def test_add_prints_the_id(nextmq: Run) -> None:
    ran = nextmq("add", "emails", "welcome", '{"to": "a"}')
    job = Queue("emails").get_job(ran.out.strip())
    assert job is not None
    assert (ran.status, job.name, job.data) == (0, "welcome", {"to": "a"})


def test_add_takes_the_options_of_bullmq(nextmq: Run) -> None:
    words = ("--delay", "2h", "--priority", "3", "--attempts", "5", "--id", "mine", "--opts", '{"keepLogs": 7}')
    added = nextmq("add", "emails", "welcome", *words, "--json").json
    assert {**added["opts"], "id": added["id"]} == {
        "delay": 7_200_000,
        "priority": 3,
        "attempts": 5,
        "keepLogs": 7,
        "id": "mine",
        **{key: value for key, value in added["opts"].items() if key == "jobId"},
    }


def test_add_reads_data_from_a_file_and_from_standard_input(
    tmp_path: Path, nextmq: Run, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "data.json").write_text('{"n": 1}')
    monkeypatch.setattr("sys.stdin", io.StringIO('{"n": 2}'))
    added = [nextmq("add", "emails", "n", given, "--json").json for given in (f"@{tmp_path}/data.json", "-")]
    assert [job["data"] for job in added] == [{"n": 1}, {"n": 2}]


@pytest.mark.parametrize("data", ["hello", "{", "@/no/such/file", "[" * 100_000])
def test_add_refuses_what_is_not_json_in_one_line_and_exits_2(data: str, nextmq: Run) -> None:
    ran = nextmq("add", "emails", "welcome", data)
    assert (ran.status, ran.out, ran.err.count("\n")) == (2, "", 1)


def test_a_refusal_of_an_option_is_the_servers_message(nextmq: Run) -> None:
    ran = nextmq("add", "emails", "welcome", "--attempts", "0")
    assert (ran.status, ran.err.startswith("nextmq: opts.attempts")) == (1, True)


@pytest.mark.parametrize(
    ("words", "sentence"),
    [
        (["drain", "emails"], 'remove 2 waiting jobs of queue "emails"'),
        (["clean", "emails", "--state", "wait"], 'remove 2 wait jobs of queue "emails"'),
        (["obliterate", "emails"], 'remove queue "emails" with its 2 jobs'),
        (["remove", "emails", "1"], 'remove job 1 of queue "emails"'),
        (["pause", "emails"], 'start no more jobs of queue "emails", until nextmq resume'),
        (["pause", "--all"], "start no more jobs of all queues of the project, until nextmq resume"),
    ],
    ids=lambda value: " ".join(value) if isinstance(value, list) else "",
)
def test_what_destroys_says_how_much_and_does_nothing_without_yes_off_a_terminal(
    words: list[str], sentence: str, nextmq: Run
) -> None:
    Queue("emails").add_bulk([{"name": "welcome"}] * 2)
    ran = nextmq(*words)
    assert (ran.status, ran.out) == (1, "")
    assert ran.err == f"nextmq: this would {sentence}: say --yes to do it, since there is no terminal to ask on\n"
    assert (Queue("emails").count(), Queue("emails").is_paused()) == (2, False)


@pytest.mark.parametrize(
    ("words", "left", "told"),
    [
        (["drain", "emails"], 0, "Removed 2 waiting jobs.\n"),
        (["clean", "emails", "--state", "wait"], 0, "Removed 2 wait jobs.\n"),
        (["obliterate", "emails"], 0, "Removed 2 jobs.\n"),
        (["remove", "emails", "1"], 1, "Removed job 1.\n"),
    ],
    ids=lambda value: " ".join(value) if isinstance(value, list) else "",
)
def test_what_destroys_does_it_with_yes_and_says_so(words: list[str], left: int, told: str, nextmq: Run) -> None:
    Queue("emails").add_bulk([{"name": "welcome"}] * 2)
    ran = nextmq(*words, "--yes")
    assert (ran.status, ran.out, Queue("emails").count()) == (0, told, left)


@pytest.mark.parametrize(("typed", "left", "status"), [("y", 0, 0), ("n", 1, 1), ("", 1, 1)])
def test_on_a_terminal_the_user_decides(
    typed: str, left: int, status: int, nextmq: Run, answer: t.Callable[[str], None]
) -> None:
    Queue("emails").add("welcome", None)
    answer(typed)
    assert (nextmq("drain", "emails").status, Queue("emails").count()) == (status, left)


def test_a_dry_run_counts_and_removes_nothing(nextmq: Run) -> None:
    Queue("emails").add("welcome", None)
    ran = nextmq("drain", "emails", "--dry-run", "--json")
    assert (ran.json, Queue("emails").count()) == ({"matching": 1}, 1)


def test_clean_goes_on_over_the_bound_of_one_call(nextmq: Run, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("nextmq_handler.cli.change.queues.MAX_CLEANED", 2)
    Queue("emails").add_bulk([{"name": "welcome"}] * 5)
    ran = nextmq("clean", "emails", "--state", "wait", "--yes", "--json")
    assert (ran.json, Queue("emails").count()) == ({"removed": 5}, 0)


def test_pause_and_resume(nextmq: Run) -> None:
    Queue("emails").add("welcome", None)
    nextmq("pause", "--all", "--yes")
    paused = Queue("emails").is_paused()
    ran = nextmq("resume", "emails")
    assert (paused, ran.out, Queue("emails").is_paused()) == (True, 'Resumed queue "emails".\n', False)


def test_promote_starts_a_delayed_job(nextmq: Run) -> None:
    job = Queue("emails").add("welcome", None, delay=3600)
    assert nextmq("promote", "emails", job.id).status == 0
    assert Queue("emails").get_job_state(job.id) == "waiting"


def test_limits_are_set_shown_and_taken_away(nextmq: Run) -> None:
    set_to = nextmq("limits", "emails", "--concurrency", "4", "--rate", "100/60s", "--json").json
    assert (set_to["concurrency"]["global"], set_to["rateLimit"]) == (4, {"max": 100, "duration": 60_000})
    gone = nextmq("limits", "emails", "--concurrency", "none", "--rate", "none", "--json").json
    assert (gone["concurrency"]["global"], gone["rateLimit"]) == (None, None)


def test_a_scheduler_is_shown_and_removed(nextmq: Run) -> None:
    Queue("emails").upsert_job_scheduler("nightly", {"every": 3_600_000}, {"name": "report"})
    assert nextmq("schedulers", "emails").out.splitlines()[1].startswith("nightly  report  every 60 min  ")
    assert nextmq("schedulers", "emails", "nightly", "--remove", "--yes").status == 0
    assert nextmq("schedulers", "emails").out == 'Queue "emails" has no job scheduler.\n'


def fails(job: t.Any) -> None:
    if job.data != "good":
        raise UnrecoverableJobError("no such user")


def test_a_job_is_retried_with_new_data(live_nextmq_server: LiveServer, nextmq: Run) -> None:
    with live_nextmq_server.project([Worker("emails", fails)]) as project:
        job = Queue("emails").add("welcome", "bad")
        project.wait_until_idle()
        ran = nextmq("retry", "emails", job.id, "--data", json.dumps("good"))
        project.wait_until_idle()
        assert (ran.status, Queue("emails").get_job_state(job.id)) == (0, "completed")


def test_data_is_for_exactly_one_job(nextmq: Run, live: LiveNextMQ) -> None:
    ran = nextmq("retry", "emails", "1", "2", "--data", "1")
    assert (ran.status, "--data takes exactly one job" in ran.err) == (2, True)


def test_ids_and_a_filter_together_are_refused(nextmq: Run) -> None:
    assert nextmq("remove", "emails", "1", "--name", "welcome").status == 2


def test_remove_without_ids_and_filter_is_refused(nextmq: Run) -> None:
    assert nextmq("remove", "emails", "--yes").status == 2
