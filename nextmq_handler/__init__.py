"""Run BullMQ jobs in a serverless Python app: the webhook handler and the producer SDK.

Every name is loaded when it is first used, so that a Lambda function pays only for what it runs.
"""

from __future__ import annotations

import typing as _t

from ._version import __version__

if _t.TYPE_CHECKING:
    from .asgi import NextMQHandler, create_nextmq_handler
    from .client._async.flows import AsyncFlowProducer, AsyncJobNode
    from .client._async.queue import AsyncQueue
    from .client._async.queue_job import AsyncQueueJob
    from .client._async.triggers import AsyncTriggers
    from .client._sync.flows import FlowProducer, JobNode
    from .client._sync.queue import Queue
    from .client._sync.queue_job import QueueJob
    from .client._sync.triggers import Triggers
    from .client.nextmq import NextMQ
    from .client.views import (
        Dependencies,
        DependenciesCount,
        JobLogs,
        JobScheduler,
        JobState,
        Metrics,
        QueueView,
        RateLimit,
        Trigger,
    )
    from .errors import (
        AuthenticationError,
        ConfigurationError,
        ControlFlow,
        DataError,
        DelayedError,
        JobFailedError,
        JobRemovedError,
        NextMQConnectionError,
        NextMQError,
        NextMQHTTPError,
        NextMQTimeoutError,
        NotFoundError,
        QueueFullError,
        RateLimitError,
        StaleDeliveryError,
        UnrecoverableJobError,
        WaitingChildrenError,
        WorkerRegistrationError,
        is_control_flow,
    )
    from .idempotency import idempotent
    from .job import AsyncJob, Job
    from .receiver.handler import HandlerOptions
    from .receiver.replay import MemoryReplayGuard, RedisReplayGuard, ReplayGuard
    from .registration.calls import (
        WorkerStatus,
        aensure_workers_registered,
        aget_worker_registration_statuses,
        aregistrations,
        aunregister_workers,
        ensure_workers_registered,
        get_worker_registration_statuses,
        registrations,
        unregister_workers,
    )
    from .rules.options import (
        Backoff,
        CustomBackoff,
        Deduplication,
        FlowJob,
        JobOptions,
        JobTemplate,
        KeepJobs,
        NewJob,
        ParentJob,
        QueueOptions,
        Repeat,
        Telemetry,
    )
    from .workers.schedules import Cron, Every
    from .workers.worker import Limiter, Worker
    from .wsgi import NextMQWSGIHandler, create_nextmq_wsgi_handler

_MODULES = {
    ".asgi": ("NextMQHandler", "create_nextmq_handler"),
    ".client._async.flows": ("AsyncFlowProducer", "AsyncJobNode"),
    ".client._async.queue": ("AsyncQueue",),
    ".client._async.queue_job": ("AsyncQueueJob",),
    ".client._async.triggers": ("AsyncTriggers",),
    ".client.nextmq": ("NextMQ",),
    ".rules.options": (
        "Backoff",
        "CustomBackoff",
        "Deduplication",
        "FlowJob",
        "JobOptions",
        "JobTemplate",
        "KeepJobs",
        "NewJob",
        "ParentJob",
        "QueueOptions",
        "Repeat",
        "Telemetry",
    ),
    ".client._sync.flows": ("FlowProducer", "JobNode"),
    ".client._sync.queue": ("Queue",),
    ".client._sync.queue_job": ("QueueJob",),
    ".client._sync.triggers": ("Triggers",),
    ".client.views": (
        "Dependencies",
        "DependenciesCount",
        "JobLogs",
        "JobScheduler",
        "JobState",
        "Metrics",
        "QueueView",
        "RateLimit",
        "Trigger",
    ),
    ".errors": (
        "AuthenticationError",
        "ConfigurationError",
        "ControlFlow",
        "DataError",
        "DelayedError",
        "JobFailedError",
        "JobRemovedError",
        "NextMQConnectionError",
        "NextMQError",
        "NextMQHTTPError",
        "NextMQTimeoutError",
        "NotFoundError",
        "QueueFullError",
        "RateLimitError",
        "StaleDeliveryError",
        "UnrecoverableJobError",
        "WaitingChildrenError",
        "WorkerRegistrationError",
        "is_control_flow",
    ),
    ".receiver.handler": ("HandlerOptions",),
    ".idempotency": ("idempotent",),
    ".job": ("AsyncJob", "Job"),
    ".registration.calls": (
        "WorkerStatus",
        "aensure_workers_registered",
        "aget_worker_registration_statuses",
        "aregistrations",
        "aunregister_workers",
        "ensure_workers_registered",
        "get_worker_registration_statuses",
        "registrations",
        "unregister_workers",
    ),
    ".receiver.replay": ("MemoryReplayGuard", "RedisReplayGuard", "ReplayGuard"),
    ".workers.schedules": ("Cron", "Every"),
    ".workers.worker": ("Limiter", "Worker"),
    ".wsgi": ("NextMQWSGIHandler", "create_nextmq_wsgi_handler"),
}

__all__ = [
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
