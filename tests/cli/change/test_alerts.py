"""`nextmq alerts` and `nextmq audit` on a real server."""

from __future__ import annotations

import pytest

from tests.cli.conftest import Run

pytestmark = pytest.mark.usefixtures("live")


def test_the_rules_are_listed_with_their_bounds_and_channels(nextmq: Run) -> None:
    rows = [line.split() for line in nextmq("alerts").out.splitlines()]
    assert ["waiting-too-long", "ok", "oldest", "waiting", "10", "min", "*", "log"] in rows


def test_a_rule_is_set_shown_and_removed(nextmq: Run) -> None:
    assert nextmq("alerts", "mine", "--set", '{"when": "failed", "over": 5, "queues": "email*"}').status == 0
    assert nextmq("alerts", "mine").out.splitlines()[1].split() == ["mine", "ok", "failed", "5", "email*", "log"]
    assert nextmq("alerts", "mine", "--remove", "--yes").status == 0
    assert nextmq("alerts", "mine").out == "No such alert rule.\n"


@pytest.mark.parametrize("words", [["--test"], ["mine", "--test", "--remove"], ["mine", "--set", "{"]])
def test_a_change_of_no_rule_or_of_two_kinds_exits_2(words: list[str], nextmq: Run) -> None:
    assert nextmq("alerts", *words).status == 2


def test_a_rule_that_the_server_refuses_is_one_line(nextmq: Run) -> None:
    ran = nextmq("alerts", "mine", "--set", '{"when": "tired"}')
    assert (ran.status, ran.err.count("\n")) == (1, 1)


def test_a_change_is_in_the_audit_log_with_who_made_it(nextmq: Run) -> None:
    nextmq("pause", "emails", "--yes")
    row = nextmq("audit", "--queue", "emails").out.splitlines()[1].split()
    assert [word for word in row if word in ("admin", "pause", "emails", "done")] == [
        "admin",
        "pause",
        "emails",
        "done",
    ]
