"""The client's searches, failures and bulk operations against a real server."""

from __future__ import annotations

import typing as t

import pytest

from nextmq_handler import NextMQ, NextMQHTTPError, Queue
from nextmq_server.testing.live import LiveNextMQ


@pytest.fixture
def project(live_nextmq: LiveNextMQ) -> NextMQ:
    queue = Queue[t.Any, t.Any]("reports")
    for number in range(5):
        queue.add("weekly", {"number": number}, job_id=f"job-{number}")
    return NextMQ()


def test_the_client_finds_jobs_from_cursor_to_cursor(project: NextMQ) -> None:
    first = project.search.find("state:waiting name:weekly", queue="reports", limit=3)
    rest = project.search.find("state:waiting name:weekly", queue="reports", cursor=first.cursor)
    found = [one["job"]["data"]["number"] for one in first.jobs + rest.jobs]
    assert (found, first.total, rest.cursor) == ([4, 3, 2, 1, 0], 5, None)


def test_the_client_tells_where_a_filter_does_not_parse(project: NextMQ) -> None:
    with pytest.raises(NextMQHTTPError, match="stat:") as caught:
        project.search.find("stat:failed")
    assert (caught.value.code, caught.value.details) == ("invalid_filter", {"position": 0, "part": "stat:"})


def test_the_client_counts_changes_and_follows_jobs_in_bulk(project: NextMQ) -> None:
    assert project.search.count("remove", "reports", "data.number:3").matching == 1
    operation = project.search.change("remove", "reports", ["job-1", "job-2", "gone"])
    while operation.state == "running":
        operation = project.search.operation(operation.id) or operation
    assert (operation.state, operation.done, operation.skipped) == ("done", 2, {"gone": 1})
    assert project.search.cancel(operation.id).state == "done"
    assert [one.id for one in project.search.operations()] == [operation.id]
    assert (project.search.operation("nobody"), project.search.failures()) == (None, [])
