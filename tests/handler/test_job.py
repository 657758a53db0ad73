"""The job that a processor sees: its fields, its signals, its calls to the server."""

import json
import typing as t
from datetime import UTC, datetime, timedelta, timezone

import httpx
import pytest
import respx
from hypothesis import given
from hypothesis import strategies as st

from nextmq_handler import (
    AsyncJob,
    ConfigurationError,
    DelayedError,
    Job,
    RateLimitError,
    StaleDeliveryError,
    WaitingChildrenError,
    Worker,
    is_control_flow,
)
from nextmq_handler.protocol.wire import Delivery
from nextmq_handler.settings import load_settings
from tests.support.client import ClientTime
from tests.support.handler import API_KEY, URL, deliver, delivery, make_handler

pytestmark = pytest.mark.anyio

PROGRESS = "/v1/queues/emails/jobs/42/progress"
both_kinds = pytest.mark.parametrize("kind", [Job, AsyncJob])
Kind = type[Job[t.Any]] | type[AsyncJob[t.Any]]


def job_of(kind: Kind, **changes: t.Any) -> Job[t.Any] | AsyncJob[t.Any]:
    return kind(Delivery(delivery(**changes)), load_settings(url=URL, environ={}), deadline=0.0)


@both_kinds
def test_a_job_has_the_fields_of_its_delivery(kind: Kind) -> None:
    job = job_of(
        kind,
        job={
            "opts": {"attempts": 3},
            "attemptsMade": 1,
            "attemptsStarted": 2,
            "stalledCounter": 3,
            "priority": 4,
            "delay": 5,
            "timestamp": 6,
            "processedOn": 7,
            "progress": 8,
            "parent": {"id": "9", "queue": "reports"},
        },
    )
    fields = {name: value for name, value in vars(job).items() if not name.startswith("_")}
    assert fields == {
        "id": "42",
        "name": "welcome",
        "data": {"to": "ä@example.com"},
        "opts": {"attempts": 3},
        "attempts_made": 1,
        "attempts_started": 2,
        "stalled_counter": 3,
        "priority": 4,
        "delay": 5,
        "timestamp": 6,
        "processed_on": 7,
        "progress": 8,
        "parent": {"id": "9", "queue": "reports"},
        "queue_name": "emails",
        "delivery_id": "dlv_1",
    }


@both_kinds
def test_time_left_is_negative_after_the_deadline(kind: Kind) -> None:
    assert job_of(kind).time_left() < 0


@both_kinds
def test_the_deadline_is_whole_ms(kind: Kind) -> None:
    assert isinstance(job_of(kind).deadline, int)


@both_kinds
def test_the_repr_of_a_job_tells_which_it_is_and_shows_no_key(kind: Kind) -> None:
    assert repr(job_of(kind)) == f"<{kind.__name__} emails/42 'welcome'>"


@both_kinds
def test_move_to_waiting_children_raises_its_signal(kind: Kind) -> None:
    with pytest.raises(WaitingChildrenError):
        job_of(kind).move_to_waiting_children()


@both_kinds
def test_move_to_delayed_raises_its_signal(kind: Kind) -> None:
    with pytest.raises(DelayedError) as caught:
        job_of(kind).move_to_delayed(1_900_000_000_000)
    assert caught.value.timestamp == 1_900_000_000_000


@both_kinds
@pytest.mark.parametrize(
    ("delay", "ms"), [(0, 0), (1500, 1500), (timedelta(minutes=1), 60_000), (timedelta(days=365), 31_536_000_000)]
)
def test_retry_in_delays_the_job_from_now_on(
    kind: Kind, delay: int | timedelta, ms: int, client_time: ClientTime
) -> None:
    client_time.now = 5.0
    with pytest.raises(DelayedError) as caught:
        job_of(kind).retry_in(delay)
    assert caught.value.timestamp == round(client_time.wall_clock() * 1000) + ms


@pytest.mark.parametrize(
    "delay",
    [-1, timedelta(seconds=-1), timedelta(days=36500), 10**5000, 1.5, True, "5", None, datetime.now(UTC)],
    ids=lambda value: type(value).__name__,
)
def test_a_delay_that_cannot_be_is_refused(delay: t.Any) -> None:
    with pytest.raises(ConfigurationError, match=r"\Aretry_in takes "):
        job_of(Job).retry_in(delay)


@pytest.mark.parametrize(
    ("value", "ms"),
    [
        (978_307_200_000, 978_307_200_000),
        (2_099_999_999_999, 2_099_999_999_999),
        (datetime(2030, 1, 1, tzinfo=UTC), 1_893_456_000_000),
        (datetime(2030, 1, 1, 2, tzinfo=timezone(timedelta(hours=2))), 1_893_456_000_000),
        (datetime(2001, 1, 1, 0, 0, 0, 1500, tzinfo=UTC), 978_307_200_002),
    ],
)
def test_a_moment_is_ms_or_an_aware_datetime(value: int | datetime, ms: int) -> None:
    assert DelayedError(value).timestamp == ms


@pytest.mark.parametrize(
    "value",
    [
        -1,
        2_100_000_000_000,
        10**5000,
        True,
        1.5,
        "1900000000000",
        None,
        datetime(2030, 1, 1),  # noqa: DTZ001 - what is to be refused
        datetime(1969, 1, 1, tzinfo=UTC),
        datetime(2999, 1, 1, tzinfo=UTC),
        timedelta(seconds=1),
    ],
    ids=lambda value: repr(value) if not isinstance(value, int) or value < 10**30 else "5000 digits",
)
def test_a_moment_that_cannot_be_is_refused(value: t.Any) -> None:
    with pytest.raises(ConfigurationError, match=r"\Amove_to_delayed takes "):
        DelayedError(value)


@pytest.mark.parametrize(
    ("value", "ms"),
    [(1, 1), (86_400_000, 86_400_000), (timedelta(seconds=1.5), 1500), (timedelta(days=1), 86_400_000)],
)
def test_a_rate_limit_is_ms_or_a_timedelta(value: int | timedelta, ms: int) -> None:
    assert RateLimitError(value).delay == ms


@pytest.mark.parametrize(
    "value",
    [
        0,
        -1,
        86_400_001,
        10**5000,
        True,
        1.5,
        "1500",
        None,
        timedelta(0),
        timedelta(days=2),
        datetime(2030, 1, 1, tzinfo=UTC),
    ],
    ids=lambda value: repr(value) if not isinstance(value, int) or value < 10**30 else "5000 digits",
)
def test_a_rate_limit_that_cannot_be_is_refused(value: t.Any) -> None:
    with pytest.raises(ConfigurationError, match=r"\ARateLimitError takes "):
        RateLimitError(value)


@given(delay=st.integers(1, 86_400_000))
def test_a_timedelta_and_its_ms_are_the_same_rate_limit(delay: int) -> None:
    assert RateLimitError(timedelta(milliseconds=delay)).delay == delay


@pytest.mark.parametrize(
    "signal", [RateLimitError(1), DelayedError(1_900_000_000_000), WaitingChildrenError()], ids=repr
)
def test_a_signal_is_control_flow(signal: BaseException) -> None:
    assert is_control_flow(signal)


@pytest.mark.parametrize("exc", [ValueError(), StaleDeliveryError(), KeyboardInterrupt()], ids=repr)
def test_another_exception_is_not_control_flow(exc: BaseException) -> None:
    assert not is_control_flow(exc)


def report(job: Job[object]) -> object:
    job.update_progress({"done": 20})
    return job.progress


async def areport(job: AsyncJob[object]) -> object:
    await job.update_progress({"done": 20})
    return job.progress


sync_and_async = pytest.mark.parametrize("process", [report, areport], ids=["def", "async def"])
Process = t.Callable[..., t.Any]


async def outcome_of(process: Process) -> dict[str, t.Any]:
    app = make_handler(Worker("emails", process), url=URL, webhook_secrets=None, expose_stack=False)
    return await deliver(app)


@sync_and_async
async def test_progress_is_sent_to_the_jobs_own_address(process: Process, server: respx.MockRouter) -> None:
    route = server.put(PROGRESS).respond(204)
    await outcome_of(process)
    assert json.loads(route.calls.last.request.content) == {"progress": {"done": 20}}


@sync_and_async
async def test_progress_carries_the_delivery_and_the_api_key(process: Process, server: respx.MockRouter) -> None:
    route = server.put(PROGRESS).respond(204)
    await outcome_of(process)
    headers = route.calls.last.request.headers
    assert (headers["x-nextmq-delivery"], headers["authorization"]) == ("dlv_1", f"Bearer {API_KEY}")


@sync_and_async
async def test_a_job_knows_the_progress_that_it_sent(process: Process, server: respx.MockRouter) -> None:
    server.put(PROGRESS).respond(204)
    assert (await outcome_of(process))["returnValue"] == {"done": 20}


@sync_and_async
async def test_a_delivery_that_lost_its_job_learns_it_from_its_next_call(
    process: Process, server: respx.MockRouter
) -> None:
    server.put(PROGRESS).respond(409, json={"error": "stale_delivery"})
    assert (await outcome_of(process))["error"]["name"] == "StaleDeliveryError"


@sync_and_async
async def test_progress_that_was_not_stored_is_not_the_jobs(process: Process, server: respx.MockRouter) -> None:
    server.put(PROGRESS).mock(side_effect=httpx.ConnectError)
    seen: list[object] = []

    def blocking(job: Job[object]) -> None:
        try:
            report(job)
        finally:
            seen.append(job.progress)

    async def awaiting(job: AsyncJob[object]) -> None:
        try:
            await areport(job)
        finally:
            seen.append(job.progress)

    await outcome_of(blocking if process is report else awaiting)
    assert seen == [0]


@sync_and_async
async def test_a_call_without_a_server_asks_for_the_variable(process: Process) -> None:
    outcome = await deliver(make_handler(Worker("emails", process)))
    assert outcome["error"]["message"].startswith("NEXTMQ_URL is not set")
