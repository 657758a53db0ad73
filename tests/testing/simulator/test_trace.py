"""A trace goes on from who adds a job to its processor, as it does over a server."""

from __future__ import annotations

import pytest
from opentelemetry import trace

from nextmq_handler import Job, Queue, Worker
from nextmq_handler.testing import LocalNextMQ

TRACE = "0af7651916cd43dd8448eb211c80319c"


def test_a_processor_runs_in_the_trace_that_added_its_job(monkeypatch: pytest.MonkeyPatch) -> None:
    def current(job: Job[None]) -> str:
        return f"{trace.get_current_span().get_span_context().trace_id:032x}"

    carrier = {"traceparent": f"00-{TRACE}-b7ad6b7169203331-01"}
    monkeypatch.setattr("nextmq_handler.client._sync.resource.inject", lambda: carrier)
    with LocalNextMQ(workers=[Worker("emails", current)]) as mq:
        Queue("emails").add("welcome")
        mq.run_all()
        assert mq.job("emails").return_value == TRACE
