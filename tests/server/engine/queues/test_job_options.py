"""The options of jobs: those of many jobs are one text, which is read once."""

from __future__ import annotations

import json

import pytest

from nextmq_server.engine.queues import job as job_module
from nextmq_server.engine.queues.job import MAX_KNOWN, MAX_KNOWN_SIZE, EngineJob
from nextmq_server.engine.scripts.packers import long_names


def job(opts: str) -> EngineJob:
    return EngineJob("1", {"opts": opts}, "token")


@pytest.fixture
def reads(monkeypatch: pytest.MonkeyPatch) -> list[object]:
    """Return what is read of options from now on."""
    seen: list[object] = []

    def note(stored: object) -> object:
        seen.append(stored)
        return long_names(stored)

    monkeypatch.setattr(job_module, "long_names", note)
    job_module._known_options.cache_clear()
    return seen


def test_the_same_options_are_read_once(reads: list[object]) -> None:
    jobs = [job('{"attempts":3,"de":{"id":"a"}}') for _ in range(50)]
    assert [each.opts for each in jobs] == [{"attempts": 3, "deduplication": {"id": "a"}}] * 50
    assert len(reads) == 1


def test_other_options_are_other_options(reads: list[object]) -> None:
    assert [job(json.dumps({"attempts": n})).opts for n in range(1, 40)] == [{"attempts": n} for n in range(1, 40)]
    assert len(reads) == 39


def test_faulty_options_stay_faulty(reads: list[object]) -> None:
    faults = [(each.fault, each.opts) for each in (job('{"attempts":"many"}') for _ in range(3))]
    assert faults == [('attempts is "many", not a number below 2^53', {})] * 3
    assert len(reads) == 1


@pytest.mark.parametrize("more", [1, 1000])
def test_long_options_are_not_kept(reads: list[object], more: int) -> None:
    text = json.dumps({"jobId": "x" * MAX_KNOWN_SIZE})
    text += " " * more
    assert [job(text).opts for _ in range(2)] == [{"jobId": "x" * MAX_KNOWN_SIZE}] * 2
    assert (len(reads), job_module._known_options.cache_info().currsize) == (2, 0)


def test_as_many_options_are_kept_as_the_bound_says(reads: list[object]) -> None:
    for number in range(2 * MAX_KNOWN):
        job(json.dumps({"delay": number}))
    assert (len(reads), job_module._known_options.cache_info().currsize) == (2 * MAX_KNOWN, MAX_KNOWN)


@pytest.mark.parametrize(
    ("token", "following"),
    [("nmq-a:1", "nmq-a:1.1"), ("nmq-a:1.1", "nmq-a:1.2"), ("nmq-a:1.9", "nmq-a:1.10"), ("token", "token.1")],
)
def test_the_next_token_is_another_one(token: str, following: str) -> None:
    assert EngineJob("1", {}, token).next_token == following


@pytest.mark.parametrize(
    "text", ["0", "1", "7", "1.5", "1e3", "-2", "", "x", "9" * 15, "9" * 16, "9" * 400, "٣", " 5"]
)
@pytest.mark.parametrize("name", ["ats", "stc", "priority"])
def test_numbers_are_read_as_any_client_writes_them(name: str, text: str) -> None:
    found = EngineJob("1", {name: text}, "token")
    number = {"ats": found.attempts_started, "stc": found.stalled_counter, "priority": found.priority}[name]
    expected = {"1.5": 1, "1e3": 1000, "": 0, "x": 0, "9" * 16: 10**16, "9" * 400: 0}
    assert number == (expected[text] if text in expected else int(text))
