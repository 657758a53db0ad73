"""The package: its public names, and what importing it costs."""

import subprocess
import sys

import pytest

import nextmq_handler

PUBLIC = [
    "AsyncFlowProducer",
    "AsyncJob",
    "AsyncJobNode",
    "AsyncQueue",
    "AsyncQueueJob",
    "AsyncTriggers",
    "AuthenticationError",
    "Backoff",
    "ConfigurationError",
    "ControlFlow",
    "Cron",
    "CustomBackoff",
    "DataError",
    "Deduplication",
    "DelayedError",
    "Dependencies",
    "DependenciesCount",
    "Every",
    "FlowJob",
    "FlowProducer",
    "HandlerOptions",
    "Job",
    "JobFailedError",
    "JobLogs",
    "JobNode",
    "JobOptions",
    "JobRemovedError",
    "JobScheduler",
    "JobState",
    "JobTemplate",
    "KeepJobs",
    "Limiter",
    "MemoryReplayGuard",
    "Metrics",
    "NewJob",
    "NextMQ",
    "NextMQConnectionError",
    "NextMQError",
    "NextMQHTTPError",
    "NextMQHandler",
    "NextMQTimeoutError",
    "NextMQWSGIHandler",
    "NotFoundError",
    "ParentJob",
    "Queue",
    "QueueFullError",
    "QueueJob",
    "QueueOptions",
    "QueueView",
    "RateLimit",
    "RateLimitError",
    "RedisReplayGuard",
    "Repeat",
    "ReplayGuard",
    "StaleDeliveryError",
    "Telemetry",
    "Trigger",
    "Triggers",
    "UnrecoverableJobError",
    "WaitingChildrenError",
    "Worker",
    "WorkerRegistrationError",
    "WorkerStatus",
    "__version__",
    "aensure_workers_registered",
    "aget_worker_registration_statuses",
    "aregistrations",
    "aunregister_workers",
    "create_nextmq_handler",
    "create_nextmq_wsgi_handler",
    "ensure_workers_registered",
    "get_worker_registration_statuses",
    "idempotent",
    "is_control_flow",
    "registrations",
    "unregister_workers",
]
HEAVY = {"pydantic", "httpx", "starlette", "anyio", "asyncio", "ssl", "email", "inspect", "dataclasses"}


def test_the_public_names_are_these() -> None:
    assert nextmq_handler.__all__ == PUBLIC


def test_the_public_names_are_sorted() -> None:
    assert sorted(PUBLIC) == PUBLIC


@pytest.mark.parametrize("name", PUBLIC)
def test_a_public_name_can_be_imported(name: str) -> None:
    assert getattr(nextmq_handler, name) is not None


def test_dir_lists_the_public_names() -> None:
    assert dir(nextmq_handler) == PUBLIC


def test_a_star_import_brings_the_public_names() -> None:
    names: dict[str, object] = {}
    exec("from nextmq_handler import *", names)
    assert sorted(names.keys() - {"__builtins__"}) == PUBLIC


@pytest.mark.parametrize("name", ["Wroker", "worker_", "_missing", "Processor"])
def test_a_name_that_does_not_exist_is_an_attribute_error_that_says_it(name: str) -> None:
    with pytest.raises(AttributeError, match=f"module 'nextmq_handler' has no attribute '{name}'"):
        getattr(nextmq_handler, name)


def test_a_name_that_does_not_exist_cannot_be_imported() -> None:
    with pytest.raises(ImportError, match="cannot import name 'Wroker'"):
        exec("from nextmq_handler import Wroker")


def loaded_by(statement: str) -> set[str]:
    """The top-level modules that a fresh process has after `statement`."""
    code = f"{statement}\nimport sys; print(*{{name.partition('.')[0] for name in sys.modules}})"
    process = subprocess.run([sys.executable, "-I", "-c", code], capture_output=True, text=True, check=True)
    return set(process.stdout.split())


@pytest.mark.parametrize(
    "statement",
    [
        "import nextmq_handler",
        "from nextmq_handler import Worker",
        "from nextmq_handler import Worker; Worker('emails', lambda job: None)",
        "from nextmq_handler import RateLimitError, UnrecoverableJobError",
        "from nextmq_handler import Job, AsyncJob",
    ],
)
def test_what_a_module_of_processors_imports_loads_nothing_heavy(statement: str) -> None:
    assert loaded_by(statement) & HEAVY == set()


def test_the_steps_of_a_delivery_load_nothing_heavy() -> None:
    assert loaded_by("import nextmq_handler.receiver.receiver, nextmq_handler.receiver.attempt") & HEAVY == set()


@pytest.mark.parametrize(
    "statement",
    [
        "from nextmq_handler import Queue, AsyncQueue, FlowProducer; Queue('emails')",
        "from nextmq_handler import create_nextmq_handler",
        "import nextmq_handler.testing",
    ],
)
def test_httpx_is_not_loaded_before_a_call_is_sent(statement: str) -> None:
    assert "httpx" not in loaded_by(statement)


def test_the_measure_sees_what_is_loaded() -> None:
    assert {"anyio", "starlette"} <= loaded_by("from nextmq_handler import create_nextmq_handler")
