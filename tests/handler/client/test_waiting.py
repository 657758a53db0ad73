"""wait_until_finished: the result of a job, or why it has none."""

from __future__ import annotations

import typing as t
from datetime import timedelta

import httpx
import pytest
import respx

from nextmq_handler import (
    ConfigurationError,
    JobFailedError,
    JobRemovedError,
    NextMQConnectionError,
    NextMQTimeoutError,
)
from tests.support.client import ClientTime, Kind, both_kinds, job_of, value_of
from tests.support.handler import JOBS

pytestmark = pytest.mark.anyio

PATH = JOBS + "/42"


def result(state: str, **members: t.Any) -> httpx.Response:
    nothing: dict[str, t.Any] = {"returnValue": None, "failedReason": None, "stacktrace": [], "finishedOn": None}
    return httpx.Response(200, json={"state": state, **nothing, **members})


@both_kinds
async def test_waiting_returns_the_result(kind: Kind, server: respx.MockRouter) -> None:
    server.get(PATH + "/result").mock(result("completed", returnValue={"sent": 1}, finishedOn=9))
    job = job_of(kind)
    assert await value_of(job.wait_until_finished()) == {"sent": 1}
    assert (job.state, job.return_value, job.finished_on) == ("completed", {"sent": 1}, 9)


@both_kinds
async def test_a_result_that_is_null_is_none(kind: Kind, server: respx.MockRouter) -> None:
    server.get(PATH + "/result").mock(result("completed"))
    assert await value_of(job_of(kind).wait_until_finished()) is None


@both_kinds
async def test_waiting_for_a_job_that_fails_raises_its_reason(kind: Kind, server: respx.MockRouter) -> None:
    server.get(PATH + "/result").mock(result("failed", failedReason="no such user", stacktrace=["a", "b"]))
    with pytest.raises(JobFailedError, match=r"\Ajob 42 of queue emails failed: no such user\Z") as caught:
        await value_of(job_of(kind).wait_until_finished())
    error = caught.value
    assert (error.job_id, error.queue_name, error.reason, error.stacktrace) == (
        "42",
        "emails",
        "no such user",
        ["a", "b"],
    )


@both_kinds
async def test_waiting_for_a_job_that_is_gone_raises_it(kind: Kind, server: respx.MockRouter) -> None:
    server.get(PATH + "/result").respond(404, json={"error": "not_found"})
    with pytest.raises(JobRemovedError):
        await value_of(job_of(kind).wait_until_finished())


class Slow:
    """A server that holds each request until its wait is over, or ends it early."""

    def __init__(self, time: ClientTime, *, holds: bool = True) -> None:
        self.waits: list[int] = []
        self.timeouts: list[float] = []
        self._time = time
        self._holds = holds

    def __call__(self, request: httpx.Request) -> httpx.Response:
        self.waits.append(int(request.url.params["wait"]))
        self.timeouts.append(request.extensions["timeout"]["read"])
        if self._holds:
            self._time.now += self.waits[-1] / 1000
        return result("active")


@both_kinds
async def test_waiting_asks_again_until_the_timeout(
    kind: Kind, server: respx.MockRouter, client_time: ClientTime
) -> None:
    slow = Slow(client_time)
    server.get(PATH + "/result").side_effect = slow
    with pytest.raises(NextMQTimeoutError, match=r"has not finished within 70\.0 s: it is active"):
        await value_of(job_of(kind).wait_until_finished(timeout=70))
    assert slow.waits == [30_000, 30_000, 10_000]


@both_kinds
async def test_a_request_that_waits_has_ten_seconds_more_than_its_wait(
    kind: Kind, server: respx.MockRouter, client_time: ClientTime
) -> None:
    slow = Slow(client_time)
    server.get(PATH + "/result").side_effect = slow
    with pytest.raises(NextMQTimeoutError):
        await value_of(job_of(kind).wait_until_finished(timeout=timedelta(seconds=35)))
    assert slow.timeouts == [40, 15]


@both_kinds
async def test_a_server_that_does_not_hold_requests_is_not_asked_every_moment(
    kind: Kind, server: respx.MockRouter, client_time: ClientTime
) -> None:
    slow = Slow(client_time, holds=False)
    server.get(PATH + "/result").side_effect = slow
    with pytest.raises(NextMQTimeoutError):
        await value_of(job_of(kind).wait_until_finished(timeout=5))
    assert len(slow.waits) == 5


@both_kinds
async def test_waiting_outlives_a_server_that_restarts(kind: Kind, server: respx.MockRouter) -> None:
    server.get(PATH + "/result").side_effect = [
        httpx.ReadError,
        httpx.ConnectError,
        httpx.Response(503),
        result("completed", returnValue=1),
    ]
    assert await value_of(job_of(kind).wait_until_finished()) == 1


@both_kinds
async def test_waiting_for_a_server_that_is_away_ends_soon_after_the_timeout(
    kind: Kind, server: respx.MockRouter, client_time: ClientTime
) -> None:
    server.get(PATH + "/result").side_effect = httpx.ConnectError
    with pytest.raises(NextMQConnectionError):
        await value_of(job_of(kind).wait_until_finished(timeout=5))
    assert client_time.now <= 15


@both_kinds
@pytest.mark.parametrize("timeout", [0, -1, "5", float("nan"), True])
async def test_a_timeout_that_cannot_be_is_refused(kind: Kind, timeout: t.Any) -> None:
    with pytest.raises(ConfigurationError, match=r"\Atimeout takes "):
        await value_of(job_of(kind).wait_until_finished(timeout))
