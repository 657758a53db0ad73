"""The search that the page of failures links to, whatever names and reasons a group has."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from nextmq_handler.rules.search.filters import parse_filter
from nextmq_server.dashboard.pages.failures import filter_of
from nextmq_server.engine.queues.search.failures import FailureGroup


def _group(name: str, reason: str) -> FailureGroup:
    return {
        "queue": "emails",
        "name": name,
        "reason": reason,
        "count": 1,
        "first": 1,
        "last": 1,
        "sampleIds": [],
        "lastStatus": None,
        "deadLetters": 0,
        "isNew": False,
    }


@pytest.mark.parametrize(
    ("reason", "filter"),
    [
        (
            "ValueError: no such address: …",
            'state:failed queue:emails name:welcome error:"ValueError: no such address:"',
        ),
        ("…", "state:failed queue:emails name:welcome"),
    ],
)
def test_a_filter_has_the_part_of_the_reason_that_stays(reason: str, filter: str) -> None:
    assert filter_of(_group("welcome", reason)) == filter


@given(st.text(max_size=700), st.text() | st.text(min_size=1, max_size=3).map(lambda text: text * 2000))
def test_the_filter_of_any_group_parses(name: str, reason: str) -> None:
    parse_filter(filter_of(_group(name, reason)))


def test_half_a_character_is_left_out() -> None:
    assert filter_of(_group("\ud800", "\ud800")) == "state:failed queue:emails"
