"""Run BullMQ jobs in a serverless Python app: the webhook handler and the producer SDK."""

# pyright: reportDeprecated=false

from __future__ import annotations

import typing as _t

from ._package import public_names as _public_names

if _t.TYPE_CHECKING:
    from ._package import __version__ as __version__
    from .asgi import NextMQHandler as NextMQHandler
    from .asgi import create_nextmq_handler as create_nextmq_handler
    from .client._async.flows import AsyncFlowProducer as AsyncFlowProducer
    from .client._async.flows import AsyncJobNode as AsyncJobNode
    from .client._async.queue import AsyncQueue as AsyncQueue
    from .client._async.queue_job import AsyncQueueJob as AsyncQueueJob
    from .client._async.triggers import AsyncTriggers as AsyncTriggers
    from .client._sync.flows import FlowProducer as FlowProducer
    from .client._sync.flows import JobNode as JobNode
    from .client._sync.queue import Queue as Queue
    from .client._sync.queue_job import QueueJob as QueueJob
    from .client._sync.triggers import Triggers as Triggers
    from .client.nextmq import NextMQ as NextMQ
    from .client.views import Dependencies as Dependencies
    from .client.views import DependenciesCount as DependenciesCount
    from .client.views import EndpointProbe as EndpointProbe
    from .client.views import JobLogs as JobLogs
    from .client.views import JobScheduler as JobScheduler
    from .client.views import JobState as JobState
    from .client.views import Metrics as Metrics
    from .client.views import QueueView as QueueView
    from .client.views import RateLimit as RateLimit
    from .client.views import Trigger as Trigger
    from .errors import AuthenticationError as AuthenticationError
    from .errors import ConfigurationError as ConfigurationError
    from .errors import DataError as DataError
    from .errors import JobFailedError as JobFailedError
    from .errors import JobRemovedError as JobRemovedError
    from .errors import NextMQConnectionError as NextMQConnectionError
    from .errors import NextMQError as NextMQError
    from .errors import NextMQHTTPError as NextMQHTTPError
    from .errors import NextMQTimeoutError as NextMQTimeoutError
    from .errors import NotFoundError as NotFoundError
    from .errors import QueueFullError as QueueFullError
    from .errors import StaleDeliveryError as StaleDeliveryError
    from .errors import UnrecoverableError as UnrecoverableError
    from .errors import UnrecoverableJobError as UnrecoverableJobError
    from .errors import WorkerRegistrationError as WorkerRegistrationError
    from .idempotency import idempotent as idempotent
    from .job import AsyncJob as AsyncJob
    from .job import ControlFlow as ControlFlow
    from .job import DelayedError as DelayedError
    from .job import Job as Job
    from .job import RateLimitError as RateLimitError
    from .job import WaitingChildrenError as WaitingChildrenError
    from .job import is_control_flow as is_control_flow
    from .receiver.handler import HandlerOptions as HandlerOptions
    from .receiver.replay import MemoryReplayGuard as MemoryReplayGuard
    from .receiver.replay import RedisReplayGuard as RedisReplayGuard
    from .receiver.replay import ReplayGuard as ReplayGuard
    from .registration.calls import WorkerStatus as WorkerStatus
    from .registration.calls import aensure_workers_registered as aensure_workers_registered
    from .registration.calls import aget_worker_registration_statuses as aget_worker_registration_statuses
    from .registration.calls import aregistrations as aregistrations
    from .registration.calls import aunregister_workers as aunregister_workers
    from .registration.calls import ensure_workers_registered as ensure_workers_registered
    from .registration.calls import get_worker_registration_statuses as get_worker_registration_statuses
    from .registration.calls import registrations as registrations
    from .registration.calls import unregister_workers as unregister_workers
    from .rules.options import Backoff as Backoff
    from .rules.options import CustomBackoff as CustomBackoff
    from .rules.options import Deduplication as Deduplication
    from .rules.options import FlowJob as FlowJob
    from .rules.options import JobOptions as JobOptions
    from .rules.options import JobTemplate as JobTemplate
    from .rules.options import KeepJobs as KeepJobs
    from .rules.options import NewJob as NewJob
    from .rules.options import ParentJob as ParentJob
    from .rules.options import QueueOptions as QueueOptions
    from .rules.options import Repeat as Repeat
    from .rules.options import Telemetry as Telemetry
    from .workers.options import Limiter as Limiter
    from .workers.options import WorkerOptions as WorkerOptions
    from .workers.schedules import Cron as Cron
    from .workers.schedules import Every as Every
    from .workers.worker import Worker as Worker
    from .wsgi import NextMQWSGIHandler as NextMQWSGIHandler
    from .wsgi import create_nextmq_wsgi_handler as create_nextmq_wsgi_handler

    __all__: list[str]
else:  # hidden from checkers, so that they report a name that does not exist
    __getattr__, __dir__, __all__ = _public_names(
        __name__,
        {
            "._package": "__version__",
            ".asgi": "NextMQHandler create_nextmq_handler",
            ".client._async.flows": "AsyncFlowProducer AsyncJobNode",
            ".client._async.queue": "AsyncQueue",
            ".client._async.queue_job": "AsyncQueueJob",
            ".client._async.triggers": "AsyncTriggers",
            ".client._sync.flows": "FlowProducer JobNode",
            ".client._sync.queue": "Queue",
            ".client._sync.queue_job": "QueueJob",
            ".client._sync.triggers": "Triggers",
            ".client.nextmq": "NextMQ",
            ".client.views": (
                "Dependencies DependenciesCount EndpointProbe JobLogs JobScheduler JobState Metrics QueueView "
                "RateLimit Trigger"
            ),
            ".errors": (
                "AuthenticationError ConfigurationError DataError JobFailedError JobRemovedError "
                "NextMQConnectionError NextMQError NextMQHTTPError NextMQTimeoutError NotFoundError "
                "QueueFullError StaleDeliveryError UnrecoverableError UnrecoverableJobError "
                "WorkerRegistrationError"
            ),
            ".idempotency": "idempotent",
            ".job": "AsyncJob ControlFlow DelayedError Job RateLimitError WaitingChildrenError is_control_flow",
            ".receiver.handler": "HandlerOptions",
            ".receiver.replay": "MemoryReplayGuard RedisReplayGuard ReplayGuard",
            ".registration.calls": (
                "WorkerStatus aensure_workers_registered aget_worker_registration_statuses aregistrations "
                "aunregister_workers ensure_workers_registered get_worker_registration_statuses registrations "
                "unregister_workers"
            ),
            ".rules.options": (
                "Backoff CustomBackoff Deduplication FlowJob JobOptions JobTemplate KeepJobs NewJob "
                "ParentJob QueueOptions Repeat Telemetry"
            ),
            ".workers.options": "Limiter WorkerOptions",
            ".workers.schedules": "Cron Every",
            ".workers.worker": "Worker",
            ".wsgi": "NextMQWSGIHandler create_nextmq_wsgi_handler",
        },
    )
