"""Changes of many jobs: they are counted, confirmed, carried out by the server, and followed."""

from __future__ import annotations

import typing as t

import pytest

from nextmq_handler import Queue
from nextmq_handler.cli.change import many
from tests.cli.conftest import Run

pytestmark = pytest.mark.usefixtures("live")


@pytest.fixture(autouse=True)
def _often(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(many, "LOOK_EVERY", 0.02)


@pytest.fixture
def delayed() -> list[str]:
    """Add three delayed jobs, two of them of one name; return their ids."""
    jobs = [{"name": name, "opts": {"delay": 3600}} for name in ("a", "a", "b")]
    return [job.id for job in Queue("emails").add_bulk(t.cast("t.Any", jobs))]


def test_without_ids_and_filter_promote_starts_all_delayed_jobs(delayed: list[str], nextmq: Run) -> None:
    ran = nextmq("promote", "emails", "--yes")
    assert (ran.status, ran.out, ran.err) == (0, "done: 3 of 3 jobs\n", 'Start 3 jobs of queue "emails".\n')
    assert Queue("emails").get_job_counts("waiting", "delayed") == {"waiting": 3, "delayed": 0}


@pytest.mark.parametrize(
    ("words", "left"), [(["--name", "a"], 1), (["--filter", "state:delayed name:b"], 2), (["1", "3"], 1)]
)
def test_only_the_jobs_of_a_filter_or_of_the_ids_are_removed(
    words: list[str], left: int, delayed: list[str], nextmq: Run
) -> None:
    ran = nextmq("remove", "emails", *words, "--yes", "--json")
    assert (ran.status, ran.json["state"], Queue("emails").get_delayed_count()) == (0, "done", left)


def test_without_yes_nothing_is_removed_and_the_number_is_told(delayed: list[str], nextmq: Run) -> None:
    ran = nextmq("remove", "emails", "--name", "a")
    assert (ran.status, 'this would remove 2 jobs of queue "emails": say --yes' in ran.err) == (1, True)
    assert Queue("emails").get_delayed_count() == 3


def test_a_dry_run_counts(delayed: list[str], nextmq: Run) -> None:
    ran = nextmq("remove", "emails", "--name", "a", "--dry-run")
    assert (ran.status, ran.out) == (0, 'This would remove 2 jobs of queue "emails".\n')


def test_a_filter_that_matches_nothing_asks_nothing(delayed: list[str], nextmq: Run) -> None:
    ran = nextmq("remove", "emails", "--name", "c")
    assert (ran.status, ran.out) == (0, 'No such job in queue "emails".\n')


@pytest.mark.parametrize("filter", ["state:sent", "attempts:many", 'name:"open', "nmae:x"])
def test_a_filter_that_does_not_parse_says_where_and_changes_nothing(
    filter: str, delayed: list[str], nextmq: Run
) -> None:
    ran = nextmq("remove", "emails", "--filter", filter, "--yes")
    assert (ran.status, ran.err.count("\n"), "at position" in ran.err) == (1, 1, True)
    assert Queue("emails").get_delayed_count() == 3


def test_an_operation_is_listed_shown_and_can_be_cancelled(delayed: list[str], nextmq: Run) -> None:
    ended = nextmq("remove", "emails", "--name", "a", "--yes", "--json").json
    listed = nextmq("bulk").out.splitlines()[1]
    assert (ended["id"] in listed, "remove" in listed, "done" in listed) == (True, True, True)
    assert nextmq("bulk", ended["id"]).out.splitlines() == ["remove in queue emails", "done: 2 of 2 jobs"]
