"""What the server refuses LocalNextMQ refuses, with the same error."""

from __future__ import annotations

import typing as t

import pytest

from nextmq_handler import FlowProducer, NextMQError, NextMQHTTPError, Queue
from nextmq_handler.testing import LocalNextMQ
from nextmq_server.testing.processes import start_dev_server

NOT_THERE: t.Any = {"id": "9", "queue_name": "emails"}


def adding(**opts: t.Any) -> t.Callable[[str], object]:
    return lambda url: Queue("emails", url=url).add("welcome", {"to": "ada"}, **opts)


def scheduling(id: str = "s", opts: t.Any = None, **repeat: t.Any) -> t.Callable[[str], object]:
    repeats: t.Any = repeat
    template: t.Any = {"opts": opts or {}}
    return lambda url: Queue("emails", url=url).upsert_job_scheduler(id, repeats, template)


def flowing(*children: dict[str, t.Any], **opts: t.Any) -> t.Callable[[str], object]:
    flow: t.Any = {"name": "root", "queue_name": "emails", "opts": opts, "children": children}
    return lambda url: FlowProducer(url=url).add(flow)


def child(**opts: t.Any) -> dict[str, t.Any]:
    return {"name": "child", "queue_name": "emails", "opts": opts}


def added(url: str) -> t.Any:
    return Queue("emails", url=url).add("welcome")


def two_with_one_key(url: str) -> None:
    for data in (1, 2):
        Queue("emails", url=url).add("welcome", data, idempotency_key="one-key")


CALLS: dict[str, t.Callable[[str], object]] = {
    "no attempts": adding(attempts=0),
    "too many attempts": adding(attempts=10_001),
    "attempts that are no number": adding(attempts="3"),
    "a delay in the past": adding(delay=-1),
    "a priority below all": adding(priority=2**21),
    "an id that is a number": adding(job_id="1"),
    "an id with a colon": adding(job_id="a:b"),
    "an id that is a key of the queue": adding(job_id="wait"),
    "an id that is empty": adding(job_id=""),
    "data over its own limit": adding(size_limit=3),
    "data over the limit": lambda url: Queue("emails", url=url).add("welcome", "x" * 2**20),
    "a name that is empty": lambda url: Queue("emails", url=url).add(""),
    "two policies": adding(fail_parent_on_failure=True, remove_dependency_on_failure=True),
    "a backoff of no known type": adding(backoff={"type": "linear", "delay": 1}),
    "a backoff without a delay": adding(backoff={"type": "fixed"}),
    "too much jitter": adding(backoff={"type": "fixed", "delay": 1, "jitter": 2}),
    "lifo that is no flag": adding(lifo="yes"),
    "a number of jobs to keep that is negative": adding(remove_on_complete=-1),
    "an age of jobs to keep that is negative": adding(remove_on_fail={"age": -1}),
    "deduplication without an id": adding(deduplication={"ttl": 1}),
    "deduplication for no time": adding(deduplication={"id": "d", "ttl": 0}),
    "a parent that is not there": adding(parent=NOT_THERE),
    "a job of a bulk": lambda url: Queue("emails", url=url).add_bulk([{"name": ""}]),
    "another request with one idempotency key": two_with_one_key,
    "a retry of a job that waits": lambda url: added(url).retry(),
    "a promotion of a job that waits": lambda url: added(url).promote(),
    "a delay of a job that waits": lambda url: added(url).change_delay(1),
    "a job that is not there": lambda url: Queue("emails", url=url).update_job_progress("9999", 1),
    "jobs in no known state": lambda url: Queue("emails", url=url).get_jobs(t.cast("t.Any", "done")),
    "a concurrency of no job": lambda url: Queue("emails", url=url).set_global_concurrency(0),
    "a rate limit of no job": lambda url: Queue("emails", url=url).set_global_rate_limit(0, 1000),
    "a rest of no time": lambda url: Queue("emails", url=url).rate_limit(0),
    "a scheduler without times": scheduling(),
    "a scheduler with two kinds of times": scheduling(every=1000, pattern="* * * * *"),
    "a scheduler with an id with a colon": scheduling("a:b", every=1000),
    "a scheduler with no pattern": scheduling(pattern="soon"),
    "a scheduler in no time zone": scheduling(pattern="* * * * *", tz="Mars/Base"),
    "a scheduler with an offset over its interval": scheduling(every=1000, offset=1000),
    "a scheduler that has ended": scheduling(every=1000, end_date=1),
    "a scheduler whose jobs are delayed": scheduling(every=1000, opts={"delay": 1}),
    "a flow with one id twice": flowing(child(job_id="x"), child(job_id="x")),
    "a flow with a child that has another parent": flowing(child(parent=NOT_THERE)),
    "a flow with a deduplicated parent": flowing(child(), deduplication={"id": "d"}),
    "a flow with a deduplicated child": flowing(child(deduplication={"id": "d"})),
    "a flow with options that cannot be": flowing(child(attempts=0)),
}


@pytest.fixture(scope="module")
def url(tmp_path_factory: pytest.TempPathFactory) -> t.Iterator[str]:
    server, found = start_dev_server(tmp_path_factory.mktemp("server"))
    yield found
    server.stop()


@pytest.mark.parametrize("what", CALLS)
def test_what_the_server_refuses_is_refused(what: str, url: str) -> None:
    real = refusal_of(CALLS[what], url)
    with LocalNextMQ():
        assert refusal_of(CALLS[what], url) == real


def refusal_of(call: t.Callable[[str], object], url: str) -> tuple[type[NextMQError], int, str]:
    with pytest.raises(NextMQHTTPError) as caught:
        call(url)
    return type(caught.value), caught.value.status, caught.value.code
