"""Run BullMQ jobs in a serverless Python app: the webhook handler and the producer SDK.

Every name is loaded when it is first used, so that a Lambda function pays only for what it runs.
"""

from __future__ import annotations

import typing as _t

from ._version import __version__

if _t.TYPE_CHECKING:
    from .asgi import NextMQHandler, create_nextmq_handler
    from .client._async.queue import AsyncQueue
    from .client._options import Backoff, JobOptions, KeepJobs
    from .client._snapshot import JobSnapshot, JobState
    from .client._sync.queue import Queue
    from .errors import (
        AuthenticationError,
        ConfigurationError,
        ControlFlow,
        DelayedError,
        NextMQConnectionError,
        NextMQError,
        NextMQHTTPError,
        NextMQTimeoutError,
        RateLimitError,
        StaleDeliveryError,
        UnrecoverableJobError,
        WaitingChildrenError,
        WorkerRegistrationError,
        is_control_flow,
    )
    from .handler import HandlerOptions
    from .idempotency import idempotent
    from .job import AsyncJob, Job
    from .registration import (
        WorkerStatus,
        aensure_workers_registered,
        aget_worker_registration_statuses,
        aunregister_workers,
        ensure_workers_registered,
        get_worker_registration_statuses,
        unregister_workers,
    )
    from .replay import MemoryReplayGuard, RedisReplayGuard, ReplayGuard
    from .worker import Limiter, Worker
    from .wsgi import NextMQWSGIHandler, create_nextmq_wsgi_handler

_MODULES = {
    ".asgi": ("NextMQHandler", "create_nextmq_handler"),
    ".client._async.queue": ("AsyncQueue",),
    ".client._options": ("Backoff", "JobOptions", "KeepJobs"),
    ".client._snapshot": ("JobSnapshot", "JobState"),
    ".client._sync.queue": ("Queue",),
    ".errors": (
        "AuthenticationError",
        "ConfigurationError",
        "ControlFlow",
        "DelayedError",
        "NextMQConnectionError",
        "NextMQError",
        "NextMQHTTPError",
        "NextMQTimeoutError",
        "RateLimitError",
        "StaleDeliveryError",
        "UnrecoverableJobError",
        "WaitingChildrenError",
        "WorkerRegistrationError",
        "is_control_flow",
    ),
    ".handler": ("HandlerOptions",),
    ".idempotency": ("idempotent",),
    ".job": ("AsyncJob", "Job"),
    ".registration": (
        "WorkerStatus",
        "aensure_workers_registered",
        "aget_worker_registration_statuses",
        "aunregister_workers",
        "ensure_workers_registered",
        "get_worker_registration_statuses",
        "unregister_workers",
    ),
    ".replay": ("MemoryReplayGuard", "RedisReplayGuard", "ReplayGuard"),
    ".worker": ("Limiter", "Worker"),
    ".wsgi": ("NextMQWSGIHandler", "create_nextmq_wsgi_handler"),
}

__all__ = [
    "AsyncJob",
    "AsyncQueue",
    "AuthenticationError",
    "Backoff",
    "ConfigurationError",
    "ControlFlow",
    "DelayedError",
    "HandlerOptions",
    "Job",
    "JobOptions",
    "JobSnapshot",
    "JobState",
    "KeepJobs",
    "Limiter",
    "MemoryReplayGuard",
    "NextMQConnectionError",
    "NextMQError",
    "NextMQHTTPError",
    "NextMQHandler",
    "NextMQTimeoutError",
    "NextMQWSGIHandler",
    "Queue",
    "RateLimitError",
    "RedisReplayGuard",
    "ReplayGuard",
    "StaleDeliveryError",
    "UnrecoverableJobError",
    "WaitingChildrenError",
    "Worker",
    "WorkerRegistrationError",
    "WorkerStatus",
    "__version__",
    "aensure_workers_registered",
    "aget_worker_registration_statuses",
    "aunregister_workers",
    "create_nextmq_handler",
    "create_nextmq_wsgi_handler",
    "ensure_workers_registered",
    "get_worker_registration_statuses",
    "idempotent",
    "is_control_flow",
    "unregister_workers",
]

# Behind TYPE_CHECKING, so that a checker still reports a name that does not exist.
if not _t.TYPE_CHECKING:
    _HOME = {name: module for module, names in _MODULES.items() for name in names}

    def __getattr__(name):
        if name not in _HOME:
            raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
        from importlib import import_module

        value = getattr(import_module(_HOME[name], __name__), name)
        globals()[name] = value
        return value

    def __dir__():
        return sorted(__all__)
