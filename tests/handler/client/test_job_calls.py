"""The calls that a processor's job makes: they carry its delivery, and end before its deadline does."""

from __future__ import annotations

import time
import typing as t

import httpx
import pytest
import respx

from nextmq_handler import (
    AsyncJob,
    ConfigurationError,
    Job,
    JobRemovedError,
    NextMQConnectionError,
    StaleDeliveryError,
)
from nextmq_handler.job import abandon
from nextmq_handler.protocol.wire import Delivery
from nextmq_handler.settings import load_settings
from tests.support.client import ClientTime, value_of
from tests.support.handler import URL, delivery

pytestmark = pytest.mark.anyio

both_kinds = pytest.mark.parametrize("kind", [Job, AsyncJob])
Kind = type[Job[t.Any]] | type[AsyncJob[t.Any]]

CALLS: dict[str, tuple[str, tuple[t.Any, ...]]] = {
    "update_progress": ("update_progress", (1,)),
    "update_data": ("update_data", ({"x": 1},)),
    "log": ("log", ("row",)),
    "clear_logs": ("clear_logs", ()),
    "get_children_values": ("get_children_values", ()),
    "get_ignored_children_failures": ("get_ignored_children_failures", ()),
    "get_dependencies": ("get_dependencies", ()),
    "get_dependencies_count": ("get_dependencies_count", ()),
}
every_call = pytest.mark.parametrize(("method", "args"), CALLS.values(), ids=CALLS)
OK = {
    "count": 1,
    "values": {},
    "failures": {},
    "processed": {},
    "unprocessed": [],
    "ignored": {},
    "failed": [],
    "counts": {"processed": 0, "unprocessed": 0, "ignored": 0, "failed": 0},
}


def job_of(kind: Kind, *, seconds: float = 30.0) -> t.Any:
    settings = load_settings(url=URL, environ={})
    return kind(Delivery(delivery()), settings, deadline=time.monotonic() + seconds)


@both_kinds
@every_call
async def test_a_call_carries_the_delivery(
    kind: Kind, method: str, args: tuple[t.Any, ...], server: respx.MockRouter
) -> None:
    route = server.route(path__startswith="/v1/queues/emails/jobs/42/").respond(200, json=OK)
    await value_of(getattr(job_of(kind), method)(*args))
    assert route.calls.last.request.headers["x-nextmq-delivery"] == "dlv_1"


@both_kinds
@every_call
async def test_a_delivery_that_lost_its_job_learns_it(
    kind: Kind, method: str, args: tuple[t.Any, ...], server: respx.MockRouter
) -> None:
    server.route().respond(409, json={"error": "stale_delivery"})
    with pytest.raises(StaleDeliveryError):
        await value_of(getattr(job_of(kind), method)(*args))


@both_kinds
@every_call
async def test_an_abandoned_job_calls_nobody(
    kind: Kind, method: str, args: tuple[t.Any, ...], server: respx.MockRouter
) -> None:
    job = job_of(kind)
    abandon(job)
    with pytest.raises(StaleDeliveryError, match="this delivery was answered already"):
        await value_of(getattr(job, method)(*args))


@both_kinds
@every_call
async def test_a_job_that_is_gone_is_an_error_of_its_own(
    kind: Kind, method: str, args: tuple[t.Any, ...], server: respx.MockRouter
) -> None:
    server.route().respond(404, json={"error": "not_found"})
    with pytest.raises(JobRemovedError):
        await value_of(getattr(job_of(kind), method)(*args))


@both_kinds
async def test_new_data_is_the_jobs(kind: Kind, server: respx.MockRouter) -> None:
    server.route().respond(200, json={})
    job = job_of(kind)
    await value_of(job.update_data({"x": 1}))
    assert job.data == {"x": 1}


@both_kinds
async def test_progress_that_json_cannot_carry_is_refused(kind: Kind) -> None:
    with pytest.raises(ConfigurationError, match=r"\Aprogress cannot be sent as JSON"):
        await value_of(job_of(kind).update_progress(float("nan")))


@both_kinds
@pytest.mark.parametrize(("left", "most"), [(1000, 10), (3, 3), (-5, 1)], ids=["long", "short", "over"])
async def test_a_call_ends_before_the_delivery_does(
    kind: Kind, left: float, most: float, server: respx.MockRouter, client_time: ClientTime
) -> None:
    server.route().mock(side_effect=httpx.ConnectError)
    with pytest.raises(NextMQConnectionError):
        await value_of(job_of(kind, seconds=left).update_progress(1))
    assert 0 < client_time.now <= most
