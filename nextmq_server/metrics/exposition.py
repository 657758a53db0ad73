"""The metrics as Prometheus's families, and as text."""

from __future__ import annotations

import typing as t
from collections import Counter

from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily, HistogramMetricFamily, Metric
from prometheus_client.exposition import generate_latest

from nextmq_handler._package import __version__

from ..dispatch.counts import DeliveryCounts, Histogram
from .gauges import QueueGauges, RedisGauges
from .requests import RequestKey


class ProjectSnapshot(t.NamedTuple):
    """What is shown of a project. `queues` is None if Redis did not answer."""

    name: str
    counts: DeliveryCounts
    queues: dict[str, QueueGauges] | None


class Snapshot(t.NamedTuple):
    """What is shown. `loop_lag` is s; `redis` is None if it did not answer."""

    projects: list[ProjectSnapshot]
    requests: Counter[RequestKey]
    redis: RedisGauges | None
    loop_lag: float

    def frozen(self) -> Snapshot:
        """Return a copy that does not change while it is written."""
        projects = [one._replace(counts=one.counts.copy()) for one in self.projects]
        return self._replace(projects=projects, requests=self.requests.copy())


class _Families(t.NamedTuple):
    families: list[Metric]

    def collect(self) -> list[Metric]:
        return self.families


def render(snapshot: Snapshot) -> bytes:
    """Return the text. It takes about 0.1 s of 200 queues: call it in a thread."""
    return generate_latest(t.cast("t.Any", _Families(list(families_of(snapshot)))))


def families_of(snapshot: Snapshot) -> t.Iterator[Metric]:
    """Yield every metric, also those without a sample."""
    yield from _deliveries(snapshot.projects)
    yield from _queues(snapshot.projects)
    requests = CounterMetricFamily(
        "nextmq_api_requests", "Requests to the API.", labels=["project", "method", "route", "status"]
    )
    for key, count in snapshot.requests.items():
        requests.add_metric(list(key), count)
    yield requests
    yield from _process(snapshot)


def _deliveries(projects: t.Sequence[ProjectSnapshot]) -> t.Iterator[Metric]:
    deliveries = CounterMetricFamily(
        "nextmq_deliveries",
        "Deliveries by outcome and class of HTTP status.",
        labels=["project", "queue", "outcome", "status"],
    )
    rejections = CounterMetricFamily(
        "nextmq_signature_rejections",
        "Deliveries that the app refused with 401, and answers that the server did not accept as signed.",
        labels=["project", "by"],
    )
    unlabelled = CounterMetricFamily(
        "nextmq_unlabelled_deliveries",
        "Deliveries of queues without a label of their own, which are counted as other.",
        labels=["project"],
    )
    for name, counts, _ in projects:
        for key, count in counts.deliveries.items():
            deliveries.add_metric([name, *key], count)
        for by in ("app", "server"):
            rejections.add_metric([name, by], counts.rejections[by])
        unlabelled.add_metric([name], counts.unlabelled)
    yield deliveries
    yield rejections
    yield unlabelled
    for title, text, of in _HISTOGRAMS:
        histogram = HistogramMetricFamily(title, text, labels=["project", "queue"])
        for name, counts, _ in projects:
            for queue, held in of(counts).items():
                histogram.add_metric([name, queue], *held.cumulative())
        yield histogram


_HISTOGRAMS: list[tuple[str, str, t.Callable[[DeliveryCounts], dict[str, Histogram]]]] = [
    ("nextmq_delivery_duration_seconds", "How long deliveries took.", lambda counts: counts.durations),
    ("nextmq_job_run_seconds", "How long deliveries took whose processor ran.", lambda counts: counts.runs),
    ("nextmq_job_wait_seconds", "How long jobs waited after they were due.", lambda counts: counts.waits),
]


def _queues(projects: t.Sequence[ProjectSnapshot]) -> t.Iterator[Metric]:
    jobs = GaugeMetricFamily("nextmq_jobs", "Jobs by state.", labels=["project", "queue", "state"])
    oldest = GaugeMetricFamily(
        "nextmq_oldest_waiting_seconds",
        "How long the oldest waiting job has waited.",
        labels=["project", "queue"],
    )
    holds = GaugeMetricFamily(
        "nextmq_held_queues",
        "Queues whose endpoint gets no deliveries: unreachable, throttled, breaker or disabled.",
        labels=["project", "queue", "kind"],
    )
    for name, _, queues in projects:
        for queue, held in (queues or {}).items():
            for state, count in held.jobs.items():
                jobs.add_metric([name, queue, state], count)
            oldest.add_metric([name, queue], held.oldest)
            for kind, count in held.holds.items():
                holds.add_metric([name, queue, kind], count)
    yield jobs
    yield oldest
    yield holds


def _process(snapshot: Snapshot) -> t.Iterator[Metric]:
    yield GaugeMetricFamily("nextmq_redis_up", "Whether Redis answers.", value=snapshot.redis is not None)
    memory = GaugeMetricFamily("nextmq_redis_memory_ratio", "Used memory of Redis by its maxmemory; 0 without.")
    round_trip = GaugeMetricFamily("nextmq_redis_round_trip_seconds", "How long Redis took to answer a PING.")
    connections = GaugeMetricFamily("nextmq_redis_connections", "Connections that Redis has, of all its clients.")
    if snapshot.redis is not None:
        for family, value in zip((memory, round_trip, connections), snapshot.redis, strict=True):
            family.add_metric([], value)
    yield memory
    yield round_trip
    yield connections
    yield GaugeMetricFamily(
        "nextmq_event_loop_lag_seconds",
        "The most that the event loop was late in the last 15 s.",
        value=snapshot.loop_lag,
    )
    info = GaugeMetricFamily("nextmq_build_info", "The version of this server.", labels=["version"])
    info.add_metric([__version__], 1)
    yield info
