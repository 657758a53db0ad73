"""One trace from Node's bullmq through the server to the processor and the job that it adds, by the real SDKs."""

from __future__ import annotations

import os
import subprocess
import sys
import typing as t
from pathlib import Path

import pytest

from nextmq_server.embedded import EmbeddedValkey
from nextmq_server.projects.projects_file import add_project
from nextmq_server.testing.processes import ChildProcess, free_port
from tests.support.otlp import OTLPReceiver, ReceivedSpan

from .node import FOLDER, NODE

CLIENT, PRODUCER, CONSUMER = 3, 4, 5


class Traced(t.NamedTuple):
    """What was received, and the trace id that Node printed."""

    trace_id: str
    spans: list[ReceivedSpan]
    metrics: set[str]

    def only(self, name: str) -> ReceivedSpan:
        """Return the one span with this name."""
        [span] = [span for span in self.spans if span.name == name]
        return span


@pytest.fixture(scope="module")
def traced(node_bullmq: Path, tmp_path_factory: pytest.TempPathFactory) -> Traced:
    """Run a job that Node adds, and the one that its processor adds; end all processes."""
    folder = tmp_path_factory.mktemp("traced")
    receiver, valkey = OTLPReceiver(), EmbeddedValkey(folder / "valkey")
    valkey.start()
    project = add_project(folder / "projects.json", "shop", prefix="shop")
    port, app_port = free_port(), free_port()
    env = {
        "OTEL_EXPORTER_OTLP_ENDPOINT": receiver.url,
        "NEXTMQ_URL": project.connection_string(f"http://127.0.0.1:{port}"),
        "NEXTMQ_APP_URL": f"http://127.0.0.1:{app_port}",
        "TEST_SOCKET": str(valkey.socket_path),
    }
    server = ChildProcess(
        [
            *(sys.executable, "-m", "nextmq_server", "serve", "--projects", str(folder / "projects.json")),
            *("--redis-url", valkey.url, "--port", str(port), "--allow-egress", "127.0.0.0/8"),
        ],
        env=env,
    )
    app = ChildProcess(
        [sys.executable, "-m", "uvicorn", "tests.interop.traced_app:app", "--port", str(app_port)],
        env={**env, "OTEL_SERVICE_NAME": "app"},
    )
    produced = subprocess.run(
        [NODE, FOLDER / "traced.mjs"],
        env={**os.environ, **env, "OTEL_SERVICE_NAME": "node"},
        capture_output=True,
        text=True,
        check=False,
        timeout=30,
    )
    assert produced.returncode == 0, produced.stderr
    server.wait_for_line("job receipt-1")
    app.stop()
    server.stop()
    valkey.stop()
    receiver.stop()
    return Traced(produced.stdout.strip(), receiver.spans, receiver.metrics)


def test_every_span_is_of_the_trace_that_node_started(traced: Traced) -> None:
    services = {span.service for span in traced.spans if span.trace_id == traced.trace_id}
    assert services == {"node", "nextmq-server", "app"}
    # Node's queue has spans of its own, for what it does beside the adding of the job.
    assert {span.service for span in traced.spans if span.trace_id != traced.trace_id} <= {"node"}


def test_each_span_is_below_the_one_that_caused_it(traced: Traced) -> None:
    [added] = [span for span in traced.spans if span.name == "add orders.order"]
    chain = [added, *map(traced.only, ("deliver orders", "process orders", "add receipts"))]
    chain += map(traced.only, ("deliver receipts", "process receipts"))
    assert [span.parent for span in chain[1:]] == [span.id for span in chain[:-1]]
    assert [span.kind for span in chain] == [PRODUCER, CLIENT, CONSUMER, PRODUCER, CLIENT, CONSUMER]


def test_spans_say_which_job_and_attempt_it_was(traced: Traced) -> None:
    assert traced.only("add receipts").attributes["messaging.message.id"] == "receipt-1"
    processed = traced.only("process orders").attributes
    assert (processed["messaging.message.id"], processed["nextmq.attempt"]) == ("order-1", 1)
    assert t.cast("int", processed["nextmq.wait_ms"]) >= 0
    delivered = traced.only("deliver orders").attributes
    assert delivered["messaging.message.id"] == "order-1"
    assert (delivered["http.response.status_code"], delivered["nextmq.outcome"]) == (200, "completed")
    assert traced.only("deliver receipts").attributes["error.type"] == "ValueError"


def test_the_server_exports_metrics(traced: Traced) -> None:
    expected = {"messaging.client.operation.duration", "bullmq.jobs.completed", "bullmq.jobs.failed"}
    assert traced.metrics >= expected
