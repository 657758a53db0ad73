"""Calls that stay open: how many a project has, and that the next project finds one."""

from __future__ import annotations

import contextlib

import pytest
from hypothesis import given
from hypothesis import strategies as st

from nextmq_server.front.open_calls import OpenCalls, TooManyOpenCalls


def opened(calls: OpenCalls, project: str, stack: contextlib.ExitStack) -> int:
    """Open calls of the project until one is refused; return how many."""
    count = 0
    with contextlib.suppress(TooManyOpenCalls):
        while True:
            stack.enter_context(calls.one(project))
            count += 1
    return count


def test_a_project_opens_no_more_than_it_may() -> None:
    with contextlib.ExitStack() as stack:
        assert opened(OpenCalls("waits", most=10, in_all=100), "a", stack) == 10


@given(most=st.integers(1, 20), in_all=st.integers(20, 100), projects=st.integers(1, 5))
def test_beside_greedy_projects_a_new_one_opens_some(most: int, in_all: int, projects: int) -> None:
    calls = OpenCalls("waits", most=most, in_all=in_all)
    with contextlib.ExitStack() as stack:
        counts = [opened(calls, str(number), stack) for number in range(projects)]
        assert min(counts) >= 1
        assert sum(counts) <= in_all
        assert max(counts) <= most


def test_a_call_that_ended_makes_place() -> None:
    calls = OpenCalls("waits", most=1, in_all=10)
    for _ in range(3):
        with calls.one("a"), pytest.raises(TooManyOpenCalls), calls.one("a"):
            pass
    assert not calls._open


def test_a_call_that_failed_makes_place() -> None:
    calls = OpenCalls("waits", most=1, in_all=10)
    with pytest.raises(ZeroDivisionError), calls.one("a"):
        _ = 1 / 0
    with calls.one("a"):
        pass
