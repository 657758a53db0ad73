"""Count deliveries for the metrics: by queue, outcome and status, with histograms of how long they took."""

from __future__ import annotations

import bisect
import typing as t
from collections import Counter

from nextmq_handler.protocol.outcomes import Failed

from ..engine.verdicts import Verdict
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

    def copy(self) -> Histogram:
        """Return a copy."""
        copied = Histogram()
        copied.counts, copied.sum = self.counts.copy(), self.sum
        return copied

    def plus(self, other: Histogram) -> Histogram:
        """Return the sum of both."""
        total = Histogram()
        total.counts = [one + another for one, another in zip(self.counts, other.counts, strict=True)]
        total.sum = self.sum + other.sum
        return total

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


class _QueueCounts:
    """The counts under one label. `outcomes` are by outcome and the first digit of the status, 0 without one."""

    def __init__(self) -> None:
        self.outcomes: dict[tuple[str, int], int] = {}
        self.ran = Histogram()
        self.did_not_run = Histogram()
        self.waits = Histogram()

    def copy(self) -> _QueueCounts:
        """Return a copy."""
        copied = _QueueCounts()
        copied.outcomes = self.outcomes.copy()
        copied.ran, copied.did_not_run, copied.waits = self.ran.copy(), self.did_not_run.copy(), self.waits.copy()
        return copied


class DeliveryCounts:
    """Watches the reports of one project's deliveries. Each delivery calls it, so it does as little as it can."""

    def __init__(self, project: str, labels: QueueLabels) -> None:
        self.rejections: Counter[Refuser] = Counter()
        self._project = project
        self._labels = labels
        self._by_label: dict[str, _QueueCounts] = {}
        self._by_queue: dict[str, _QueueCounts] = {}
        self._is_other: set[str] = set()
        self.unlabelled = 0

    def label_of(self, queue: str) -> str:
        """Return the label of a queue of the project."""
        return self._labels.of(self._project, queue)

    def __call__(self, report: Report) -> None:
        """Count a delivery."""
        counts = self._by_queue.get(report.queue) or self._counts_of(report.queue)
        verdict, status = report.verdict, report.status or 0
        outcome: str = verdict.outcome
        if outcome == "failed" and not report.is_final:
            outcome = "retrying"
        key = (outcome, status // 100)
        counts.outcomes[key] = counts.outcomes.get(key, 0) + 1
        if report.is_signed:
            counts.ran.observe(report.duration / 1000)
        else:
            counts.did_not_run.observe(report.duration / 1000)
            self._note_rejection(status, verdict)
        if report.wait is not None:
            counts.waits.observe(report.wait / 1000)
        if self._is_other and report.queue in self._is_other:
            self.unlabelled += 1

    def copy(self) -> DeliveryCounts:
        """Return a copy that does not change."""
        copied = DeliveryCounts(self._project, self._labels)
        copied.rejections, copied.unlabelled = self.rejections.copy(), self.unlabelled
        copied._by_label = {label: counts.copy() for label, counts in self._by_label.items()}
        return copied

    @property
    def deliveries(self) -> dict[DeliveryKey, int]:
        """The deliveries."""
        return {
            DeliveryKey(label, outcome, f"{status}xx" if status else "none"): count
            for label, counts in self._by_label.items()
            for (outcome, status), count in counts.outcomes.items()
        }

    @property
    def durations(self) -> dict[str, Histogram]:
        """How long deliveries took, by label."""
        return {label: counts.ran.plus(counts.did_not_run) for label, counts in self._by_label.items()}

    @property
    def runs(self) -> dict[str, Histogram]:
        """How long deliveries took whose processor ran, by label."""
        return {label: counts.ran for label, counts in self._by_label.items()}

    @property
    def waits(self) -> dict[str, Histogram]:
        """How long jobs waited after they were due, by label."""
        return {label: counts.waits for label, counts in self._by_label.items()}

    def _counts_of(self, queue: str) -> _QueueCounts:
        label = self.label_of(queue)
        if label != queue:
            self._is_other.add(queue)
        counts = self._by_queue[queue] = self._by_label.setdefault(label, _QueueCounts())
        return counts

    def _note_rejection(self, status: int, verdict: Verdict) -> None:
        if status == 401:
            self.rejections["app"] += 1
        elif status == 200 and isinstance(verdict, Failed) and verdict.name == "InvalidOutcome":
            self.rejections["server"] += 1
