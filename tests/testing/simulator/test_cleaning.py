"""Jobs are removed by the many: `clean`, `obliterate`, `remove_unprocessed_children`."""

from __future__ import annotations

import typing as t

import pytest

from nextmq_handler import FlowProducer, NextMQHTTPError, Queue, Worker
from nextmq_handler.testing import LocalNextMQ


def worker(process: t.Any = lambda job: None) -> Worker:
    return Worker("pages", process)


def family(**child: t.Any) -> t.Any:
    return {
        "name": "book",
        "queue_name": "pages",
        "children": [{"name": "page", "queue_name": "pages", "opts": child}],
    }


def test_clean_removes_the_jobs_that_are_older_than_the_grace() -> None:
    with LocalNextMQ(workers=[worker()]) as mq:
        for _ in range(2):
            Queue("pages").add("page")
            mq.run_all()
            mq.advance(60)
        assert Queue("pages").clean(90_000, 0, "completed") == ["1"]
        assert [job.id for job in mq.jobs() if not job.is_removed] == ["2"]


def test_clean_removes_a_parent_whose_last_child_goes() -> None:
    with LocalNextMQ(workers=[worker()]) as mq:
        FlowProducer().add(family(delay=1000))
        assert len(Queue("pages").clean(0, 0, "delayed")) == 1
        assert [(job.name, job.is_removed) for job in mq.jobs()] == [("book", True), ("page", True)]


def test_clean_leaves_the_next_job_of_a_scheduler() -> None:
    with LocalNextMQ(workers=[worker()]) as mq:
        Queue("pages").upsert_job_scheduler("hourly", {"every": 3_600_000, "offset": 1})
        assert Queue("pages").clean(0, 0, "delayed") == []
        assert len(mq.jobs(state="delayed")) == 1


def test_clean_lets_others_with_the_deduplication_id_in() -> None:
    with LocalNextMQ(workers=[worker()]):
        Queue("pages").add("page", delay=1000, deduplication={"id": "p"})
        Queue("pages").clean(0, 0, "delayed")
        assert not Queue("pages").add("page", delay=1000, deduplication={"id": "p"}).deduplicated


def test_an_obliterated_queue_is_as_new() -> None:
    with LocalNextMQ(workers=[worker()]) as mq:
        pages = Queue("pages")
        pages.set_global_concurrency(3)
        pages.add_bulk([{"name": "page"}, {"name": "page", "opts": {"delay": 1000}}])
        mq.run_all()
        pages.obliterate()
        assert sum(pages.get_job_counts().values()) == 0
        assert (pages.get_global_concurrency(), pages.is_paused(), pages.add("page").id) == (None, False, "1")
        mq.run_all()


def test_a_queue_whose_jobs_run_is_paused_instead_of_obliterated() -> None:
    def obliterate(job: t.Any) -> None:
        with pytest.raises(NextMQHTTPError, match="wrong_state"):
            Queue("pages").obliterate()

    with LocalNextMQ(workers=[worker(obliterate)]) as mq:
        Queue("pages").add("page")
        mq.run_all()
        assert (mq.job().state, Queue("pages").is_paused()) == ("completed", True)


def test_a_job_that_obliterates_its_queue_is_gone_when_it_returns() -> None:
    with LocalNextMQ(workers=[worker(lambda job: Queue("pages").obliterate(force=True))]) as mq:
        Queue("pages").add("page")
        mq.run_all()
        assert Queue("pages").get_job("1") is None
        assert Queue("pages").get_job_counts()["completed"] == 0


def test_children_that_were_not_processed_are_removed_and_their_parent_goes_on() -> None:
    with LocalNextMQ(workers=[worker()]) as mq:
        book = FlowProducer().add(family(delay=1000)).job
        book.remove_unprocessed_children()
        mq.run_all()
        assert [(job.name, job.state, job.is_removed) for job in mq.jobs()] == [
            ("book", "completed", False),
            ("page", "delayed", True),
        ]
