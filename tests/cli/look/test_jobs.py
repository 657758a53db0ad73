"""`nextmq jobs` and `nextmq job` on a real server."""

from __future__ import annotations

import typing as t

import pytest

from nextmq_handler import Job, Queue, UnrecoverableJobError, Worker
from nextmq_server.testing.live import LiveNextMQ, LiveServer
from tests.cli.conftest import Run

SECRET = "hunter2"


def fails(job: Job) -> None:
    job.log("looking for the user")
    raise UnrecoverableJobError(f"no such user {job.data['to']}")


@pytest.fixture
def failed(live_nextmq_server: LiveServer) -> t.Iterator[LiveNextMQ]:
    """Let job 1 of queue emails fail."""
    with live_nextmq_server.project([Worker("emails", fails)]) as project:
        Queue("emails").add("welcome", {"to": "ada", "password": SECRET}, attempts=3)
        project.wait_until_idle()
        yield project


@pytest.mark.usefixtures("failed")
def test_a_job_is_shown_whole(nextmq: Run) -> None:
    ran = nextmq("job", "emails", "1")
    assert ran.status == 0
    for part in (
        "welcome 1 in queue emails: failed",
        '"to": "ada"',
        "DELIVERIES (1)",
        "no such user ada",
        "TRACEBACK OF THE LAST ATTEMPT",
        "test_jobs.py",
        "LOG (1 ROW)\n  looking for the user",
    ):
        assert part in ran.out


@pytest.mark.usefixtures("failed")
@pytest.mark.parametrize("words", [["job", "emails", "1"], ["jobs", "emails"]])
@pytest.mark.parametrize("more", [[], ["--json"]])
def test_what_its_name_keeps_secret_is_never_printed(words: list[str], more: list[str], nextmq: Run) -> None:
    ran = nextmq(*words, *more)
    assert (ran.status, SECRET in ran.out, "[redacted]" in ran.out) == (0, False, True if more else "job" in words)


@pytest.mark.usefixtures("failed")
def test_a_list_shows_state_name_attempts_and_error(nextmq: Run) -> None:
    head, row = nextmq("jobs", "emails", "--state", "failed").out.splitlines()
    assert head.split("  ")[0] == "ID"
    cells = [cell.strip() for cell in row.split("  ") if cell.strip()]
    assert (cells[:4], cells[-1]) == (["1", "failed", "welcome", "1/3"], "UnrecoverableJobError: no such user ada")


@pytest.mark.usefixtures("live")
def test_the_newest_jobs_of_all_states_come_first(nextmq: Run) -> None:
    for name in ("a", "b", "c"):
        Queue("emails").add(name, None)
    found = nextmq("jobs", "emails", "--limit", "2", "--json").json
    assert [job["name"] for job in found["jobs"]] == ["c", "b"]


@pytest.mark.usefixtures("live")
def test_a_job_that_does_not_exist_leads_to_why(nextmq: Run) -> None:
    ran = nextmq("job", "emails", "99")
    assert (ran.status, "nextmq why emails 99" in ran.err) == (1, True)
