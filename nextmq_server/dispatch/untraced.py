"""What stands in for `tracing` in a server that does not trace: the producer's trace goes on to the app."""

from __future__ import annotations

import typing as t

from nextmq_handler.telemetry import delivery_headers

from ..engine.queues.job import EngineJob
from ..engine.verdicts import Verdict


class DeliverySpan(t.Protocol):
    """The span of one delivery. `headers` carry it to the app. Nothing here raises."""

    headers: dict[str, str]

    def answered(self, status: int | None, verdict: Verdict, *, is_final: bool) -> None:
        """Take note of how the delivery ended."""
        ...

    def end(self) -> None:
        """End the span, also if the delivery was aborted."""
        ...


class Tracer(t.Protocol):
    """Starts the spans of deliveries."""

    def start(self, queue: str, url: str, job: EngineJob, id: str, /) -> DeliverySpan:
        """Start the span of a delivery."""
        ...


class _NoSpan:
    def __init__(self, headers: dict[str, str]) -> None:
        self.headers = headers

    def answered(self, status: int | None, verdict: Verdict, *, is_final: bool) -> None:
        """Do nothing."""

    def end(self) -> None:
        """Do nothing."""


class NoTracer:
    """Starts no spans."""

    def start(self, _queue: str, _url: str, job: EngineJob, _id: str, /) -> DeliverySpan:
        """Return what only has the trace of the job's producer."""
        return _NoSpan(delivery_headers(job.opts))
