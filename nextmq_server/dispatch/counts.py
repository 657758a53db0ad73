"""Count deliveries for the metrics: by queue, outcome and status, with histograms of how long they took."""

from __future__ import annotations

import bisect
import typing as t
from collections import Counter

from nextmq_handler.protocol.outcomes import Failed

from .reports import Report

MAX_LABELS = 200
"""How many queues of a process have a label of their own. The rest is counted as OTHER."""

OTHER = "other"

BUCKETS = (0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0, 30.0, 60.0, 300.0, 900.0)
"""The upper bounds of the histograms' buckets, in s."""

_INFINITE = len(BUCKETS)


class QueueLabels:
    """The queues that have a label, over all projects of a process: the first MAX_LABELS that were seen."""

    def __init__(self) -> None:
        self._labels: set[tuple[str, str]] = set()

    def of(self, project: str, queue: str) -> str:
        """Return the queue's label."""
        if (project, queue) in self._labels:
            return queue
        if len(self._labels) >= MAX_LABELS:
            return OTHER
        self._labels.add((project, queue))
        return queue


class Histogram:
    """Counts durations in buckets. `sum` is s."""

    def __init__(self) -> None:
        self.counts = [0] * (_INFINITE + 1)
        self.sum = 0.0

    def observe(self, seconds: float) -> None:
        """Count one."""
        self.counts[bisect.bisect_left(BUCKETS, seconds)] += 1
        self.sum += seconds

    def cumulative(self) -> tuple[list[tuple[str, float]], float]:
        """Return how many were at most as long as each bound, and the sum in s."""
        total, rows = 0, list[tuple[str, float]]()
        for bound, count in zip([*map(str, BUCKETS), "+Inf"], self.counts, strict=True):
            total += count
            rows.append((bound, total))
        return rows, self.sum


class DeliveryKey(t.NamedTuple):
    """What a delivery is counted under. `status` is a class such as `2xx`, or `none`."""

    queue: str
    outcome: str
    status: str


Refuser = t.Literal["app", "server"]
"""Who did not accept a signature: the app that of a delivery (401), or the server that of an answer."""


class DeliveryCounts:
    """Watches the reports of one project's deliveries."""

    def __init__(self, project: str, labels: QueueLabels) -> None:
        self.deliveries: Counter[DeliveryKey] = Counter()
        self.durations: dict[str, Histogram] = {}
        self.waits: dict[str, Histogram] = {}
        self.runs: dict[str, Histogram] = {}
        self.rejections: Counter[Refuser] = Counter()
        self.unlabelled = 0
        self._project = project
        self._labels = labels

    def label_of(self, queue: str) -> str:
        """Return the label of a queue of the project."""
        return self._labels.of(self._project, queue)

    def __call__(self, report: Report) -> None:
        """Count a delivery."""
        queue = self._labels.of(self._project, report.queue)
        if queue == OTHER and report.queue != OTHER:
            self.unlabelled += 1
        status, verdict = report.status, report.verdict
        is_retried = isinstance(verdict, Failed) and not report.is_final
        outcome = "retrying" if is_retried else verdict.outcome
        self.deliveries[DeliveryKey(queue, outcome, f"{status // 100}xx" if status else "none")] += 1
        seconds = report.duration / 1000
        _observe(self.durations, queue, seconds)
        if report.is_signed:
            _observe(self.runs, queue, seconds)
        elif status == 401:
            self.rejections["app"] += 1
        elif status == 200 and isinstance(verdict, Failed) and verdict.name == "InvalidOutcome":
            self.rejections["server"] += 1
        if report.wait is not None:
            _observe(self.waits, queue, report.wait / 1000)


def _observe(histograms: dict[str, Histogram], queue: str, seconds: float) -> None:
    histogram = histograms.get(queue)
    if histogram is None:
        histogram = histograms[queue] = Histogram()
    histogram.observe(seconds)
