"""make_job and make_async_job: the job a processor sees, and what is recorded of its calls."""

from __future__ import annotations

import typing as t

import pytest
from pydantic import BaseModel

from nextmq_handler import ConfigurationError, StaleDeliveryError
from nextmq_handler.job import abandon
from nextmq_handler.protocol.wire import WireError
from nextmq_handler.testing import RecordedAsyncJob, RecordedJob, make_async_job, make_job

pytestmark = pytest.mark.anyio

Recorded = RecordedJob[t.Any] | RecordedAsyncJob[t.Any]
MAKERS: list[t.Callable[..., Recorded]] = [make_job, make_async_job]
both = pytest.mark.parametrize("make", MAKERS)


class Welcome(BaseModel):
    to: str


async def call(job: Recorded, method: str, *args: t.Any) -> t.Any:
    result = getattr(job, method)(*args)
    return await result if isinstance(job, RecordedAsyncJob) else result


@both
async def test_a_job_has_its_data_as_given(make: t.Callable[..., Recorded]) -> None:
    data = Welcome(to="ada")
    assert make(data).data is data


@both
async def test_a_job_has_the_fields_that_were_given(make: t.Callable[..., Recorded]) -> None:
    job = make(
        None, name="welcome", id="42", attempts_made=2, opts={"attempts": 5}, priority=7, queue_name="emails"
    )
    found = (job.name, job.id, job.attempts_made, job.attempts_started, job.opts, job.priority, job.queue_name)
    assert found == ("welcome", "42", 2, 3, {"attempts": 5}, 7, "emails")


@both
async def test_a_job_has_the_time_that_was_given(make: t.Callable[..., Recorded]) -> None:
    assert 999 < make(None, timeout=1000).time_left() <= 1000


@both
async def test_progress_is_recorded(make: t.Callable[..., Recorded]) -> None:
    job = make(None)
    await call(job, "update_progress", 20)
    await call(job, "update_progress", {"done": 1})
    assert (job.progress_updates, job.progress) == ([20, {"done": 1}], {"done": 1})


@both
async def test_data_is_recorded_as_the_server_keeps_it(make: t.Callable[..., Recorded]) -> None:
    job = make(None)
    await call(job, "update_data", Welcome(to="ada"))
    assert (job.data_updates, job.data) == ([{"to": "ada"}], Welcome(to="ada"))


@both
async def test_rows_of_the_log_are_recorded_and_counted(make: t.Callable[..., Recorded]) -> None:
    job = make(None)
    counts = [await call(job, "log", row) for row in ("one", "two")]
    assert (job.logs, counts) == (["one", "two"], [1, 2])


@both
async def test_the_log_keeps_as_many_rows_as_the_job_says(make: t.Callable[..., Recorded]) -> None:
    job = make(None, opts={"keepLogs": 1})
    for row in ("one", "two"):
        await call(job, "log", row)
    assert job.logs == ["two"]


@pytest.mark.parametrize(("keep", "left"), [(0, []), (1, ["two"])])
@both
async def test_a_cleared_log_keeps_its_newest_rows(
    make: t.Callable[..., Recorded], keep: int, left: list[str]
) -> None:
    job = make(None)
    for row in ("one", "two"):
        await call(job, "log", row)
    await call(job, "clear_logs", keep)
    assert job.logs == left


@both
async def test_children_answer_what_was_given(make: t.Callable[..., Recorded]) -> None:
    job = make(None, children_values={"pages:1": 3}, ignored_failures={"pages:2": "gone"}, unprocessed=["pages:3"])
    assert await call(job, "get_children_values") == {"pages:1": 3}
    assert await call(job, "get_ignored_children_failures") == {"pages:2": "gone"}
    assert await call(job, "get_dependencies_count") == {
        "processed": 1,
        "unprocessed": 1,
        "ignored": 1,
        "failed": 0,
    }


@both
async def test_unprocessed_children_can_be_removed(make: t.Callable[..., Recorded]) -> None:
    job = make(None, unprocessed=["pages:3"], failed=["pages:4"])
    await call(job, "remove_unprocessed_children")
    assert await call(job, "get_dependencies") == {
        "processed": {},
        "unprocessed": [],
        "ignored": {},
        "failed": ["pages:4"],
    }


@both
async def test_what_cannot_be_sent_is_refused_as_by_the_client(make: t.Callable[..., Recorded]) -> None:
    with pytest.raises(ConfigurationError, match="progress cannot be sent as JSON"):
        await call(make(None), "update_progress", b"bytes")


@both
async def test_an_abandoned_job_is_stale(make: t.Callable[..., Recorded]) -> None:
    job = make(None)
    abandon(job)
    with pytest.raises(StaleDeliveryError):
        await call(job, "update_progress", 1)


@both
async def test_a_field_of_a_wrong_type_is_refused(make: t.Callable[..., Recorded]) -> None:
    with pytest.raises(WireError, match=r"job\.priority is not a whole number"):
        make(None, priority="2")
