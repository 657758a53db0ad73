"""Node's BullMQ on the same Valkey: the server delivers its jobs, and it sees the server's."""

from __future__ import annotations

import json
import subprocess
import typing as t
from pathlib import Path

import pytest

from tests.interop.node import FOLDER, NODE, install_packages

if t.TYPE_CHECKING:
    from .conftest import Circle


@pytest.fixture(scope="session")
def node_bullmq() -> Path:
    """Return the script, with Node's bullmq installed beside it."""
    install_packages()
    return FOLDER / "node_client.js"


def node(script: Path, circle: Circle, command: str, argument: str) -> t.Any:
    arguments = [str(NODE), str(script), str(circle.redis_socket), command, "work", argument]
    done = subprocess.run(arguments, capture_output=True, text=True, check=True, timeout=60)
    return json.loads(done.stdout)


def test_a_job_added_by_node_is_delivered(circle: Circle, node_bullmq: Path) -> None:
    circle.start_server()
    circle.start_app()
    opts = {
        "attempts": 3,
        "priority": 5,
        "delay": 50,
        "backoff": {"type": "exponential", "delay": 100, "jitter": 0.5},
    }

    added = node(node_bullmq, circle, "add", json.dumps({"name": "echo", "data": {"u": "żółć☃😀"}, "opts": opts}))

    finished = circle.wait_until_finished(added["id"])
    assert (finished.state, finished.return_value) == ("completed", {"u": "żółć☃😀"})


def test_a_job_that_we_added_and_finished_is_seen_by_node(circle: Circle, node_bullmq: Path) -> None:
    circle.start_server()
    circle.start_app()
    job = circle.queue().add("echo", {"n": [1, None]}, attempts=4, backoff={"type": "fixed", "delay": 70})
    circle.wait_until_finished(job.id)

    seen = node(node_bullmq, circle, "get", job.id)

    assert {name: seen[name] for name in ("name", "data", "state", "returnvalue", "attemptsMade")} == {
        "name": "echo",
        "data": {"n": [1, None]},
        "state": "completed",
        "returnvalue": {"n": [1, None]},
        "attemptsMade": 1,
    }
    assert (seen["opts"]["attempts"], seen["opts"]["backoff"]) == (4, {"type": "fixed", "delay": 70})


def test_a_job_that_failed_here_is_seen_by_node_with_its_reason_and_stack(
    circle: Circle, node_bullmq: Path
) -> None:
    circle.start_server()
    circle.start_app()
    job = circle.queue().add("nobody", attempts=2)
    circle.wait_until_finished(job.id)

    seen = node(node_bullmq, circle, "get", job.id)

    assert (seen["state"], seen["attemptsMade"], seen["stacktraces"], seen["counts"]["failed"]) == (
        "failed",
        2,
        2,
        1,
    )
    assert "no processor for jobs named 'nobody'" in seen["failedReason"]
