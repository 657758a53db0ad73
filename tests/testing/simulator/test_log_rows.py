"""A log never fails the work that it is about, whatever is logged: sync, async, and in a test's job."""

from __future__ import annotations

import os
import typing as t

import pytest
from hypothesis import given
from hypothesis import strategies as st

from nextmq_handler import AsyncJob, Job, Queue, Worker
from nextmq_handler.rules.limits import MAX_LOG_ROW
from nextmq_handler.rules.log_text import kept_rows, log_row
from nextmq_handler.testing import LocalNextMQ, make_job


class Unprintable:
    def __str__(self) -> str:
        raise SystemExit(1)


class Loud(str):
    __slots__ = ()

    def encode(self, *args: t.Any) -> t.NoReturn:
        raise RuntimeError


ROWS: dict[str, tuple[object, str]] = {
    "text": ("déjà vu 😀", "déjà vu 😀"),
    "no text": ("", ""),
    "a file name that is not UTF-8": (os.fsdecode(b"caf\xe9.txt"), "caf?.txt"),
    "half a pair": ("a\ud83d", "a?"),
    "the other half": ("\ude00b", "?b"),
    "an int": (5, "5"),
    "a float": (1.5, "1.5"),
    "NaN": (float("nan"), "nan"),
    "None": (None, "None"),
    "a bool": (True, "True"),
    "bytes": (b"caf\xc3\xa9", "café"),
    "bytes that are not UTF-8": (b"caf\xe9", "caf\ufffd"),
    "a bytearray": (bytearray(b"x"), "x"),
    "a list": ([1, "a"], "[1, 'a']"),
    "a dict": ({"a": 1}, "{'a': 1}"),
    "an exception": (ValueError("no"), "no"),
    "an object that cannot print itself": (Unprintable(), "<Unprintable cannot be shown>"),
    "a kind of text that cannot be encoded": (Loud("x"), "x"),
    "a row of 64 KiB": ("x" * MAX_LOG_ROW, "x" * MAX_LOG_ROW),
    "a row of 65 KiB": ("x" * 66_560, "x" * (MAX_LOG_ROW - 1) + "…"),
    "a row of many MiB": ("é" * 5_000_000, "é" * (MAX_LOG_ROW - 1) + "…"),
    "a long row of lone surrogates": ("\ud800" * 70_000, "?" * (MAX_LOG_ROW - 1) + "…"),
    "a NUL and a line break": ("a\0b\nc", "a\0b\nc"),
}


def log_sync(row: object) -> Worker:
    def process(job: Job) -> int:
        return job.log(row)

    return Worker("emails", process)


def log_async(row: object) -> Worker:
    async def process(job: AsyncJob) -> int:
        return await job.log(row)

    return Worker("emails", process)


def logged(worker: Worker, **opts: t.Any) -> list[str]:
    """Return the log of a job that the worker has completed."""
    with LocalNextMQ(workers=[worker]) as mq:
        job = Queue("emails").add("welcome", **opts)
        mq.run_all()
        assert (job.get_state(), job.wait_until_finished(1)) == ("completed", 1), job.failed_reason
        return job.get_logs()["logs"]


@pytest.mark.parametrize("worker_of", [log_sync, log_async], ids=["def", "async def"])
@pytest.mark.parametrize(("row", "kept"), ROWS.values(), ids=ROWS)
def test_whatever_a_processor_logs_its_job_completes(
    row: object, kept: str, worker_of: t.Callable[[object], Worker]
) -> None:
    assert logged(worker_of(row)) == [kept]


@pytest.mark.parametrize(("row", "kept"), ROWS.values(), ids=ROWS)
def test_a_job_of_a_test_records_what_a_server_keeps(row: object, kept: str) -> None:
    job = make_job(None)
    job.log(row)
    assert job.logs == [kept]


@pytest.mark.parametrize(("row", "kept"), ROWS.values(), ids=ROWS)
def test_a_producers_row_is_kept_alike(row: object, kept: str) -> None:
    with LocalNextMQ(workers=[]):
        queue: Queue = Queue("emails")
        job = queue.add("welcome")
        queue.add_job_log(job.id, row)
        assert job.get_logs()["logs"] == [kept]


@given(row=st.text(st.characters()) | st.binary() | st.integers() | st.lists(st.text(), max_size=3))
def test_every_row_is_text_that_utf8_carries(row: object) -> None:
    assert len(log_row(row).encode()) >= 0


@pytest.mark.parametrize("keep", [-1, 1.5, "many", True, None, [], 10**13])
def test_a_job_whose_option_keep_logs_cannot_be_carried_out_keeps_all_rows(keep: object) -> None:
    job = make_job(None, opts={"keepLogs": keep})
    job.log("a")
    assert (job.log("b"), kept_rows(keep)) == (2, None)
