"""Asking several at once: no answer gets lost with what it holds open."""

from __future__ import annotations

import asyncio

import pytest

from nextmq_server.tasks import first_answers

pytestmark = pytest.mark.anyio


async def _answer(word: str) -> str:
    return word


async def _answer_though_cancelled(word: str) -> str:
    try:
        await asyncio.Event().wait()
    except asyncio.CancelledError:
        return word
    raise AssertionError


async def test_answers_that_are_returned_are_not_discarded() -> None:
    discarded: list[str] = []
    asking = {1: _answer("one"), 2: _answer("two")}
    answers, _ = await first_answers(asking, grace=0, discard=discarded.append)
    assert (answers, discarded) == ({1: "one", 2: "two"}, [])


async def test_an_answer_that_comes_after_the_grace_is_discarded() -> None:
    discarded: list[str] = []
    asking = {1: _answer("one"), 2: _answer_though_cancelled("two")}
    answers, _ = await first_answers(asking, grace=0, discard=discarded.append)
    assert (answers, discarded) == ({1: "one"}, ["two"])


async def test_all_answers_are_discarded_if_the_caller_is_cancelled() -> None:
    discarded: list[str] = []
    asking = {1: _answer("one"), 2: _answer_though_cancelled("two")}
    caller = asyncio.ensure_future(first_answers(asking, grace=3600, discard=discarded.append))
    for _ in range(3):
        await asyncio.sleep(0)
    caller.cancel()
    with pytest.raises(asyncio.CancelledError):
        await caller
    assert sorted(discarded) == ["one", "two"]
