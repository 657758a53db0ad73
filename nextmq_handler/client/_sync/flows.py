# Generated from _async by scripts/generate_sync.py: change that, then run `make format`.
"""The producer of flows: trees of jobs, each of which waits for its children."""

from __future__ import annotations

import typing as t
from datetime import timedelta

from ...errors import NotFoundError
from ...rules.options import FlowJob, QueueOptions
from ...telemetry import inject, producer_span
from .._http.answer import R, listed
from .._http.call import DEFAULT_TIMEOUT, Options, key_of
from ..flows import flow_content, queues_content
from ..remote import Remote
from .queue_job import QueueJob
from .transport import Transport


class JobNode:
    """A job of a flow, and its children."""

    def __init__(self, job: QueueJob, children: list[JobNode]) -> None:
        self.job = job
        self.children = children

    def __repr__(self) -> str:
        return f"<{type(self).__name__} {self.job!r} children={len(self.children)}>"


class FlowProducer:
    """Adds flows on the server that NEXTMQ_URL, or `url`, names. Constructing it sends nothing.

    A call and its retries take at most `timeout`, s or a timedelta. Every call raises ConfigurationError for what
    cannot be sent, NextMQHTTPError or one of its kinds, and NextMQConnectionError or NextMQTimeoutError.
    """

    def __init__(self, *, url: str | None = None, timeout: float | timedelta = DEFAULT_TIMEOUT) -> None:
        self._remote = Remote(url, timeout)

    def add(
        self,
        flow: FlowJob,
        queues_options: t.Mapping[str, QueueOptions] | None = None,
        *,
        idempotency_key: str | None = None,
    ) -> JobNode:
        """Add a flow of up to 1000 jobs, 20 levels deep, all of them or none; `queues_options` by queue name.

        It is added once however often the call is retried, or repeated within 24 h with the same
        `idempotency_key`. Raises QueueFullError, and what every call does.
        """
        content = {
            "flow": flow_content([flow])[0],
            "queuesOptions": queues_content(queues_options or {}),
        }
        key = key_of(idempotency_key)
        with producer_span(content["flow"].get("queueName", ""), content["flow"].get("name", "")):
            return self._ask(
                "POST",
                reader=lambda answer: self._node(answer["flow"]),
                content=content,
                idempotency_key=key,
                headers=inject(),
            )

    def add_bulk(self, flows: t.Sequence[FlowJob], *, idempotency_key: str | None = None) -> list[JobNode]:
        """Add flows of up to 1000 jobs together, all of them or none; `idempotency_key` and errors as in `add`."""
        content = {"flows": flow_content(flows)}
        if not flows:
            return []
        key = key_of(idempotency_key)
        reader = listed("flows", self._node)
        with producer_span(content["flows"][0].get("queueName", ""), "bulk"):
            return self._ask("POST", "bulk", reader=reader, content=content, idempotency_key=key, headers=inject())

    def get_flow(self, *, queue_name: str, id: str, depth: int = 10, max_children: int = 20) -> JobNode | None:
        """The flow below a job: up to `depth` levels, `max_children` children of each; None without the job."""
        query = {"depth": depth, "maxChildren": max_children}
        try:
            return self._ask("GET", queue_name, id, reader=self._node, query=query)
        except NotFoundError:
            return None

    def _ask(self, method: str, *path: str, reader: t.Callable[[t.Any], R], **options: t.Unpack[Options]) -> R:
        transport = Transport(self._remote.connection, timeout=self._remote.timeout)
        return transport.request(method, ("v1", "flows", *path), reader, **options)

    def _node(self, tree: t.Any) -> JobNode:
        view = tree["job"]
        job: QueueJob = QueueJob(view, queue_name=view["queueName"], remote=self._remote)
        children: list[t.Any] = tree["children"]
        return JobNode(job, [self._node(child) for child in children])
