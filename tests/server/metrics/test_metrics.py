"""GET /metrics: what it shows of one project, of all, and of more queues than it names."""

from __future__ import annotations

import asyncio
import time
import typing as t

import httpx
import pytest
from prometheus_client.parser import text_string_to_metric_families

from nextmq_handler.protocol.outcomes import Completed, Failed
from nextmq_server.api.app import create_app
from nextmq_server.dispatch import counts
from nextmq_server.dispatch.counts import DeliveryCounts, QueueLabels
from nextmq_server.dispatch.reports import Report
from nextmq_server.embedded import EmbeddedValkey
from nextmq_server.metrics.loop_lag import LoopLag
from nextmq_server.metrics.metrics import ProcessMetrics
from nextmq_server.projects.projects import Project, new_project
from nextmq_server.service import Service
from nextmq_server.workers.registration import Registration

if t.TYPE_CHECKING:
    from ..conftest import App, WaitUntil

pytestmark = pytest.mark.anyio

Samples = dict[tuple[str, frozenset[tuple[str, str]]], float]


def samples(text: str) -> Samples:
    """Return the values by name and labels."""
    return {
        (sample.name, frozenset(sample.labels.items())): sample.value
        for family in text_string_to_metric_families(text)
        for sample in family.samples
    }


def value(found: Samples, name: str, **labels: str) -> float:
    return found[name, frozenset(labels.items())]


async def scrape(project: Project, *services: Service) -> Samples:
    """Return what the API shows with the project's key."""
    client = httpx.AsyncClient(
        transport=httpx.ASGITransport(create_app(*services)),
        base_url="http://server.example",
        headers={"authorization": f"Bearer {project.api_key}"},
    )
    async with client:
        answer = await client.get("/metrics")
    assert answer.status_code == 200, answer.text
    assert answer.headers["content-type"] == "text/plain; version=0.0.4; charset=utf-8"
    return samples(answer.text)


async def test_deliveries_and_jobs_are_counted(
    service: Service, project: Project, app: App, reports: list[Report], wait_until: WaitUntil
) -> None:
    await service.workers.register("emails", Registration.model_validate(app.registration()), replace=None)
    await service.add([service.jobs.new("emails", "welcome", None, {}, now=round(time.time() * 1000))])
    await service.add([service.jobs.new("lonely", "welcome", None, {}, now=1_700_000_000_000)])
    await wait_until(lambda: reports)
    found = await scrape(project, service)
    of_queue = {"project": project.name, "queue": "emails"}
    assert value(found, "nextmq_deliveries_total", **of_queue, outcome="completed", status="2xx") == 1
    for histogram in ("nextmq_delivery_duration_seconds", "nextmq_job_run_seconds", "nextmq_job_wait_seconds"):
        assert value(found, f"{histogram}_count", **of_queue) == 1
        assert value(found, f"{histogram}_bucket", **of_queue, le="+Inf") == 1
    lonely = {"project": project.name, "queue": "lonely"}
    assert value(found, "nextmq_jobs", **lonely, state="waiting") == 1
    assert value(found, "nextmq_oldest_waiting_seconds", **lonely) > 1_000_000
    assert value(found, "nextmq_redis_up") == 1
    assert value(found, "nextmq_redis_connections") >= 1


async def test_a_key_shows_only_its_project_and_the_process_all(
    service: Service, project: Project, valkey: EmbeddedValkey
) -> None:
    other = Service(new_project("other", prefix="other"), valkey.url)
    await other.start()
    await other.add([other.jobs.new("secrets", "welcome", None, {}, now=1)])
    found = await scrape(project, service, other)
    everything = samples((await ProcessMetrics().of_all([service, other])).decode())
    await other.stop(grace=0)
    assert not any(("project", "other") in labels for _, labels in found)
    assert value(everything, "nextmq_jobs", project="other", queue="secrets", state="waiting") == 1


async def test_without_redis_the_process_shows_what_it_knows(own_valkey: EmbeddedValkey, project: Project) -> None:
    service = Service(project, own_valkey.url)
    await service.start()
    own_valkey.stop()
    found = samples((await ProcessMetrics().of_all([service])).decode())
    await service.stop(grace=0)
    assert value(found, "nextmq_redis_up") == 0
    assert value(found, "nextmq_signature_rejections_total", project=project.name, by="app") == 0


async def test_an_answer_is_given_again_for_some_seconds(service: Service) -> None:
    metrics = ProcessMetrics()
    first, again = await asyncio.gather(metrics.of_all([service]), metrics.of_all([service]))
    assert first is again


REPORT = Report("q", "1", "welcome", 1, "dlv_1", 200, Completed(None), 10.0, False, 0, True, 20, "")
INVALID = Failed("InvalidOutcome", "not signed")


def counted(*reports: Report) -> DeliveryCounts:
    found = DeliveryCounts("shop", QueueLabels())
    for report in reports:
        found(report)
    return found


def test_more_queues_than_have_a_label_are_counted_as_other() -> None:
    found = counted(*(REPORT._replace(queue=f"q{number}") for number in range(counts.MAX_LABELS + 3)))
    per_queue = {key.queue: count for key, count in found.deliveries.items()}
    assert len(per_queue) == counts.MAX_LABELS + 1
    assert per_queue["other"] == found.unlabelled == 3


def test_the_bound_of_labels_is_one_of_the_process() -> None:
    labels = QueueLabels()
    of_one = [labels.of("a", f"q{number}") for number in range(counts.MAX_LABELS)]
    assert "other" not in of_one
    assert [labels.of("b", "q0"), labels.of("a", "q0")] == ["other", "q0"]


@pytest.mark.parametrize(
    ("report", "rejections"),
    [
        (REPORT._replace(status=401, is_signed=False), {"app": 1}),
        (REPORT._replace(verdict=INVALID, is_signed=False), {"server": 1}),
        (REPORT, {}),
    ],
)
def test_rejected_signatures_are_counted(report: Report, rejections: dict[str, int]) -> None:
    assert counted(report).rejections == rejections


def test_a_job_that_started_before_has_no_wait() -> None:
    found = counted(REPORT._replace(wait=None))
    assert found.waits["q"].cumulative()[0][-1] == ("+Inf", 0)


def test_no_job_id_is_a_label() -> None:
    found = counted(REPORT._replace(job_id="j-77", job_name="n-77", delivery_id="d-77"))
    assert "77" not in str([*found.deliveries, *found.durations, *found.waits, *found.runs])


async def test_a_loop_that_was_blocked_is_late(wait_until: WaitUntil) -> None:
    lag = LoopLag()
    watching = asyncio.create_task(lag.watch())
    await asyncio.sleep(0)
    time.sleep(0.5)  # noqa: ASYNC251 - what is measured
    await wait_until(lambda: lag.worst > 0)
    watching.cancel()
    assert lag.worst >= 0.2
