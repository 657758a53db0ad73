"""The producer: repeats each addition until one of the servers has accepted it."""

from __future__ import annotations

import math
import time
import typing as t

from nextmq_handler import FlowJob, FlowProducer, NewJob, NextMQConnectionError, NextMQHTTPError, Queue

from .history import Addition, PlannedJob

_CALL_TIMEOUT = 5.0
"""How long (s) to try one server before the other."""


class Accepted(t.NamedTuple):
    """An addition, the ids that its jobs got, and those of a second call, if any."""

    addition: Addition
    ids: tuple[str, ...]
    repeated: tuple[str, ...]


class Producer:
    """Adds through the servers at `urls` until `deadline` (monotonic s). Set that when the last fault is over."""

    def __init__(self, urls: t.Sequence[str]) -> None:
        self.deadline = math.inf
        self._urls = urls

    def make(self, addition: Addition) -> Accepted:
        """Return the ids of the jobs. Raises NextMQError if the server refuses them or the deadline has passed."""
        ids = self._add(addition, addition.server)
        repeated = self._add(addition, addition.server + 1) if addition.is_repeated else ids
        return Accepted(addition, ids, repeated)

    def _add(self, addition: Addition, server: int) -> tuple[str, ...]:
        while True:
            try:
                return _call(self._urls[server % len(self._urls)], addition)
            except (NextMQConnectionError, NextMQHTTPError) as exc:
                is_refusal = isinstance(exc, NextMQHTTPError) and exc.status < 500
                if is_refusal or time.monotonic() > self.deadline:
                    raise
            server += 1


def _call(url: str, addition: Addition) -> tuple[str, ...]:
    first, *others = addition.jobs
    if addition.is_flow:
        flow: FlowJob = {**_flow_job(first), "children": [_flow_job(job) for job in others]}
        node = FlowProducer(url=url, timeout=_CALL_TIMEOUT).add(flow, idempotency_key=addition.key)
        return (node.job.id, *(child.job.id for child in node.children))
    queue: Queue = Queue(first.queue, url=url, timeout=_CALL_TIMEOUT)
    if others:
        jobs = [NewJob(name="step", data=job.data, opts=job.opts) for job in addition.jobs]
        return tuple(job.id for job in queue.add_bulk(jobs, idempotency_key=addition.key))
    return (queue.add("step", first.data, idempotency_key=addition.key, **first.opts).id,)


def _flow_job(job: PlannedJob) -> FlowJob:
    return {"name": "step", "queue_name": job.queue, "data": job.data, "opts": job.opts}
