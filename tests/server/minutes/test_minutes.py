"""Counts by the minute and by the hour: what is counted, over all processes, and its percentiles."""

from __future__ import annotations

import bisect
import math
import typing as t

import httpx
import pytest
from hypothesis import given
from hypothesis import strategies as st

from nextmq_handler.protocol.outcomes import Completed, Failed
from nextmq_server.dispatch.reports import Report
from nextmq_server.engine.scripts.scripts import ScriptRunner
from nextmq_server.minutes import minutes as module
from nextmq_server.minutes.counts import BOUNDS, BUCKETS, Counts, percentile
from nextmq_server.minutes.minutes import RANGES, Minutes
from nextmq_server.projects.projects import Project
from nextmq_server.service import Service
from nextmq_server.workers.registration import Registration
from tests.support.api import JOBS

if t.TYPE_CHECKING:
    from nextmq_server.embedded import EmbeddedValkey

    from ..conftest import App, Engine, WaitUntil

pytestmark = pytest.mark.anyio

DONE = Completed(None)
METRICS = "/v1/queues/emails/metrics"


def report(
    verdict: Completed | Failed = DONE, *, status: int | None = 200, is_final: bool = False, wait: int | None = 40
) -> Report:
    return Report("emails", "1", "x", 1, "d", status, verdict, 100.0, is_final, 0, True, wait)


async def totals(minutes: Minutes, span: str = "1h") -> dict[str, t.Any]:
    """Return the view of all counts of the span together."""
    total = Counts()
    for _, counts in await minutes.read("emails", RANGES[span]):
        total.take(counts.text())
    return total.view()


@pytest.fixture
def minutes(engine: Engine) -> Minutes:
    return Minutes(ScriptRunner(engine.redis, engine.keys))


async def test_it_counts_how_jobs_ended_and_what_the_app_answered(minutes: Minutes) -> None:
    failed = Failed("Error", "no")
    for one in (
        report(),
        report(failed, status=200, is_final=True),
        report(failed, status=503),
        report(failed, status=None, wait=None),
    ):
        minutes.count(one)
    await minutes.flush()
    shown = await totals(minutes)
    assert (shown["completed"], shown["failed"], shown["retried"]) == (1, 1, 2)
    assert shown["deliveries"] == {"none": 1, "1xx": 0, "2xx": 2, "3xx": 0, "4xx": 0, "5xx": 1}


@pytest.mark.parametrize("span", RANGES)
async def test_each_range_has_what_was_counted_now(minutes: Minutes, span: str) -> None:
    minutes.count(report())
    await minutes.flush()
    assert (await totals(minutes, span))["completed"] == 1


async def test_the_counts_of_several_processes_and_writes_are_added(engine: Engine, minutes: Minutes) -> None:
    other = Minutes(ScriptRunner(engine.redis, engine.keys))
    for one in (minutes, other, minutes):
        one.count(report())
        one.note_oldest("emails", 7)
        await one.flush()
    other.note_oldest("emails", 5)
    await other.flush()
    shown = await totals(minutes)
    assert (shown["completed"], shown["oldestWaiting"]) == (3, 7)


async def test_a_step_in_which_no_server_ran_is_left_out(minutes: Minutes) -> None:
    assert await minutes.read("emails", RANGES["1h"]) == []
    await minutes.flush()
    [(_, counts)] = await minutes.read("emails", RANGES["24h"])
    assert counts.view()["completed"] == 0


async def test_the_counts_lapse(engine: Engine, minutes: Minutes) -> None:
    minutes.count(report())
    await minutes.flush()
    keys = await engine.redis.execute("KEYS", f"{engine.keys('*')}")
    lives = [await engine.redis.execute("PTTL", key) for key in keys if ":minutes:" in key or ":hours:" in key]
    assert len(lives) == 4
    assert all(0 < life <= 91 * 86_400_000 for life in lives)


async def test_queues_beyond_the_bound_are_not_counted(minutes: Minutes, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "MAX_COUNTED_QUEUES", 1)
    minutes.count(report()._replace(queue="other"))
    minutes.count(report())
    await minutes.flush()
    assert (await totals(minutes))["completed"] == 0


@pytest.mark.parametrize("text", ["", "x", "1=", "=1", "1=-1", "99=5 0=2", "1=x 0=2 z=9", "0=2"])
async def test_what_another_version_counts_is_left_out(text: str) -> None:
    counts = Counts()
    counts.take(text)
    assert counts.view()["completed"] in (0, 2)


@given(st.lists(st.integers(0, 335_000), min_size=1, max_size=200), st.sampled_from([0.5, 0.95, 0.99]))
def test_a_percentile_is_in_the_bucket_of_the_value_that_it_stands_for(values: list[int], share: float) -> None:
    buckets = [0] * BUCKETS
    for value in values:
        buckets[bisect.bisect_left(BOUNDS, value)] += 1
    place = bisect.bisect_left(BOUNDS, sorted(values)[math.ceil(share * len(values)) - 1])
    assert (BOUNDS[place - 1] if place else 0) <= percentile(buckets, share) <= BOUNDS[place]


def test_a_duration_beyond_all_bounds_has_a_bucket() -> None:
    counts = Counts()
    counts.add_run(10**9)
    counts.add_wait(10**9)
    assert counts.view()["run"] == counts.view()["wait"] == {"p50": 335_000, "p95": 335_000, "p99": 335_000}


async def test_the_route_shows_a_delivery(
    api: httpx.AsyncClient, service: Service, app: App, wait_until: WaitUntil
) -> None:
    await service.workers.register("emails", Registration.model_validate(app.registration()), replace=None)
    await api.post(JOBS, json={"name": "welcome"})
    await wait_until(lambda: service.minutes._counts)
    await service.minutes.flush()
    shown = (await api.get(METRICS, params={"range": "24h"})).json()
    point = shown["points"][-1]
    assert (shown["step"], point["completed"], point["deliveries"]["2xx"]) == (900_000, 1, 1)
    assert point["run"]["p50"] > 0


async def test_what_was_counted_is_written_when_the_server_stops(
    valkey: EmbeddedValkey, project: Project, engine: Engine
) -> None:
    service = Service(project, valkey.url)
    await service.start()
    service.minutes.count(report())
    await service.stop(grace=0)
    assert await engine.redis.execute("KEYS", service.keys("minutes", "emails", "*"))
