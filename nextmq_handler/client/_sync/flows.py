# Generated from _async by scripts/generate_sync.py: change that, then run `make format`.
"""The producer of flows: trees of jobs, each of which waits for its children."""

from __future__ import annotations

import typing as t

from ...rules.options import FlowJob, QueueOptions
from .._http.answer import listed
from ..adding import flow_content, queues_content
from .queue_job import QueueJob
from .resource import Resource


class JobNode:
    """A job of a flow, and its children."""

    def __init__(self, job: QueueJob, children: list[JobNode]) -> None:
        self.job: QueueJob = job
        self.children: list[JobNode] = children

    def __repr__(self) -> str:
        return f"<{type(self).__name__} {self.job!r} children={len(self.children)}>"


class FlowProducer(Resource):
    """Add flows to the server that NEXTMQ_URL, or `url`, names. Constructing it sends nothing.

    A call and its retries take at most `timeout`, s or a timedelta. Every call raises ConfigurationError for
    content that cannot be sent, NextMQHTTPError or a subclass, NextMQConnectionError or NextMQTimeoutError.
    """

    _path = ("flows",)

    def add(
        self,
        flow: FlowJob,
        queues_options: t.Mapping[str, QueueOptions] | None = None,
        *,
        idempotency_key: str | None = None,
    ) -> JobNode:
        """Add a flow of up to 1000 jobs, 20 levels deep: all of them or none.

        `queues_options` has the options of each queue's jobs by queue name. The flow is added once, however often
        the call is retried, or repeated within 24 h with the same `idempotency_key`. Raises QueueFullError, and
        what every call raises.
        """
        root = flow_content([flow])[0]
        content = {"flow": root, "queuesOptions": queues_content(queues_options or {})}

        def reader(answer: t.Any) -> JobNode:
            return self._node(answer["flow"])

        queue, name = root.get("queueName", ""), root.get("name", "")
        return self._add(queue, name, reader=reader, content=content, key=idempotency_key)

    def add_bulk(self, flows: t.Sequence[FlowJob], *, idempotency_key: str | None = None) -> list[JobNode]:
        """Add flows of up to 1000 jobs together: all of them or none. Key and errors are as in `add`."""
        content = {"flows": flow_content(flows)}
        if not flows:
            return []
        queue, reader = content["flows"][0].get("queueName", ""), listed("flows", self._node)
        return self._add(queue, "bulk", "bulk", reader=reader, content=content, key=idempotency_key)

    def get_flow(self, *, queue_name: str, id: str, depth: int = 10, max_children: int = 20) -> JobNode | None:
        """Return the flow below a job, None if the job does not exist.

        The flow has up to `depth` levels, and up to `max_children` children of each job.
        """
        query = {"depth": depth, "maxChildren": max_children}
        return self._find("GET", queue_name, id, reader=self._node, query=query)

    def _node(self, tree: t.Any) -> JobNode:
        view = tree["job"]
        job: QueueJob = QueueJob(view, queue_name=view["queueName"], remote=self._remote)
        children: list[t.Any] = tree["children"]
        return JobNode(job, [self._node(child) for child in children])
